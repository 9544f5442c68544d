// Uploads over HTTP/2, and tells the status and how the stream ended: node http2_upload.js URL FILE CERTIFICATE
const fs = require("fs");
const [url, file, certificate] = process.argv.slice(2);
const session = require("http2").connect(url, { ca: fs.readFileSync(certificate) });
const end = (lost, what) => {
  console.log(what);
  process.exit(lost ? 1 : 0);
};
let status = "no response";
session.on("error", (error) => end(true, `${status}, ${error.message}`));
const stream = session.request({ ":method": "PUT", ":path": "/", "content-length": fs.statSync(file).size });
stream.on("response", (headers) => (status = headers[":status"]));
stream.on("error", (error) => end(true, `${status}, ${error.message}`));
stream.on("end", () => setTimeout(() => end(status === "no response", `${status}, whole, code ${stream.rstCode}`), 100));
stream.resume();
fs.createReadStream(file).pipe(stream);
setTimeout(() => end(true, `${status}, and no end`), 10000);
