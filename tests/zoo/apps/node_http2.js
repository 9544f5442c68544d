const { http, https, pair, answer } = require("./shared");
require("http2").createServer(answer).listen(http, "127.0.0.1");
require("http2").createSecureServer({ ...pair, allowHTTP1: true }, answer).listen(https, "127.0.0.1");
