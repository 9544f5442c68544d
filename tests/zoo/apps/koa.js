const Koa = require("koa");
const { serve } = require("./shared");
const app = new Koa();
app.use((context) => {
  context.status = context.method === "PUT" ? 413 : 200;
  context.body = context.method === "PUT" ? "big\n" : "hello\n";
});
serve(app.callback());
