const { answer, serve } = require("./shared");
serve(answer);
