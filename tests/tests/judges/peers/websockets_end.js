// Ends of WebSockets, as the library ws sees them.
//
// Arguments: PORT TRIES AUTHORITY; an empty AUTHORITY means plain TCP.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const WebSocket = require("ws");

const [port, tries, authority] = process.argv.slice(2);
const ca = authority ? fs.readFileSync(authority) : undefined;
const PART = Buffer.alloc(32 << 10, "x");
// More than any server reads that says goodbye.
const MOST_PARTS = 2000;

const open = (path) =>
  new WebSocket(`${ca ? "wss" : "ws"}://localhost:${port}${path}`, { ca, perMessageDeflate: false });

// The code and the reason of the server's Close frame.
const end = (socket) => new Promise((done) => {
  socket.on("close", (code, reason) => done(`${code} ${reason}`));
  // A close follows.
  socket.on("error", () => {});
});

// The client closes, and the server confirms it.
const closes = (code) => {
  const socket = open("/echo");
  socket.on("open", () => socket.send("hello"));
  socket.on("message", () => socket.close(code, "done"));
  return end(socket);
};

// Sends one message after the other.
const keepsSending = (socket, part) => {
  let left = MOST_PARTS;
  const next = () => {
    left -= 1;
    if (left > 0 && socket.readyState === WebSocket.OPEN) {
      // Node reads between two messages.
      socket.send(part, (error) => { if (!error) setImmediate(next); });
    }
  };
  next();
};

// The server closes while the client sends.
const isTold = (path, size = PART.length) => {
  const socket = open(path);
  socket.on("open", () => keepsSending(socket, Buffer.alloc(size, "x")));
  return end(socket);
};

// Clients that all send when the server stops.
const away = async (clients) => {
  const sockets = Array.from({ length: clients }, () => open("/until-stop"));
  const ends = sockets.map(end);
  await Promise.all(sockets.map((socket) => new Promise((done) => { socket.on("open", done); })));
  for (const socket of sockets) keepsSending(socket, PART);
  (ca ? https : http).get({ host: "localhost", port, path: "/stop", ca }, (answer) => answer.resume());
  return Promise.all(ends);
};

const tell = (row, wants, seen) => {
  const good = seen.filter((one) => one === wants).length;
  console.log([`ws: ${row}`, good, seen.length, [...new Set(seen)].join(" | ")].join("\t"));
};

const repeated = async (once) => {
  const seen = [];
  for (let i = 0; i < Number(tries); i += 1) seen.push(await once());
  return seen;
};

(async () => {
  for (const code of [1000, 1001, 3000, 4999]) {
    tell(`the client closes with ${code}`, `${code} done`, await repeated(() => closes(code)));
  }
  const enough = await repeated(() => isTold("/enough"));
  tell("the server closes while the client sends", "1008 enough", enough);
  const large = await repeated(() => isTold("/small", 1 << 20));
  tell("a message that is too large", "1009 too large", large);
  tell("the server stops", "1001 stopping", await away(10));
  process.exit(0);
})();
