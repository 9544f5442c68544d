const express = require("express");
const { serve } = require("./shared");
const app = express();
app.get("/", (request, response) => response.send("hello\n"));
app.put("/", (request, response) => response.status(413).send("big\n"));
serve(app);
