// Shared by Node's servers: ports, the certificate, and a handler that does not read the request.
const fs = require("fs");
const [http, https, cert, key] = process.argv.slice(2);
const pair = { cert: fs.readFileSync(cert), key: fs.readFileSync(key) };
const answer = (request, response) => {
  const refused = request.method === "PUT";
  response.writeHead(refused ? 413 : 200, { "content-type": "text/plain" });
  response.end(refused ? "big\n" : "hello\n");
};
const serve = (handler) => {
  require("http").createServer(handler).listen(http, "127.0.0.1");
  require("https").createServer(pair, handler).listen(https, "127.0.0.1");
};
module.exports = { http, https, pair, answer, serve };
