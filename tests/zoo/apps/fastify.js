const { http, https, pair } = require("./shared");
for (const [port, options] of [[http, {}], [https, { https: pair }]]) {
  const app = require("fastify")(options);
  app.addContentTypeParser("*", (request, payload, done) => done(new Error("too large")));
  app.get("/", async () => "hello\n");
  app.put("/", { onRequest: async (request, reply) => reply.code(413).send("big\n") }, async () => "");
  app.listen({ port: Number(port), host: "127.0.0.1" });
}
