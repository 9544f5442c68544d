// hapi itself answers 413 to a body of more than 1 MiB.
const { http, https, pair } = require("./shared");
for (const [port, tls] of [[http, undefined], [https, pair]]) {
  const server = require("@hapi/hapi").server({ port, host: "127.0.0.1", tls });
  server.route({ method: "GET", path: "/", handler: () => "hello\n" });
  server.route({ method: "PUT", path: "/", handler: () => "" });
  server.start();
}
