// Uploads by Node's modules, and prints for each how many of the uploads got the whole refusal.
//
// Arguments: LIBRARY,LIBRARY… URL AUTHORITY SIZE TRIES MESSAGE; an empty AUTHORITY means plain HTTP.
// `fetch` takes its authority from the environment.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const http2 = require("node:http2");
const https = require("node:https");
const { Readable } = require("node:stream");

const [libraries, url, authority, size, tries, message] = process.argv.slice(2);
const body = Buffer.alloc(Number(size), "x");
const ca = authority && fs.readFileSync(authority);

const read = (stream, status, done) => {
  let text = "";
  stream.setEncoding("utf8");
  stream.on("data", (some) => { text += some; });
  stream.on("end", () => done([status(), text]));
};

const byRequest = () => new Promise((done, failed) => {
  const module = authority ? https : http;
  const headers = { "Content-Length": body.length };
  const request = module.request(url, { method: "PUT", ca, headers, agent: false }, (answer) => {
    answer.on("error", failed);
    read(answer, () => answer.statusCode, done);
  });
  request.on("error", failed);
  request.end(body);
});

const byFetch = async () => {
  const answer = await fetch(url, { method: "PUT", body });
  return [answer.status, await answer.text()];
};

function* parts() {
  for (let at = 0; at < body.length; at += 65536) yield body.subarray(at, at + 65536);
}

const byHttp2 = () => new Promise((done, failed) => {
  const session = http2.connect(url, { ca });
  const ends = (how) => (what) => { session.destroy(); how(what); };
  session.on("error", ends(failed));
  const stream = session.request({ ":method": "PUT", ":path": new URL(url).pathname });
  let status;
  stream.on("response", (headers) => { status = headers[":status"]; });
  stream.on("error", ends(failed));
  read(stream, () => status, ends(done));
  // In parts: Node counts what waits to be written, and takes no answer if that is more than 10 MB.
  Readable.from(parts()).pipe(stream);
});

const uploads = { request: byRequest, fetch: byFetch, http2: byHttp2 };

(async () => {
  for (const library of libraries.split(",")) {
    let complete = 0;
    for (let i = 0; i < Number(tries); i += 1) {
      try {
        const [status, text] = await uploads[library]();
        complete += status === 413 && text === message;
      } catch (error) {
        console.error(String(error.cause ?? error));
      }
    }
    console.log(complete);
  }
  process.exit(0);
})();
