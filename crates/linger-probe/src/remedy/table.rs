//! The table of known changes: each entry has a change, the servers that it is for, and the rows that it
//! fixes.

use super::Entry;
use super::Server::{Asgi, Axum, Envoy, Go, Haproxy, Hyper, Nginx, Node, Wsgi};

/// Every known change.
pub const ALL: &[Entry] = &[
    Entry {
        servers: &[Nginx],
        rows: &["early", "large", "close", "error", "flood.pipelined", "flood.bad_request", "flood.headers"],
        change: "lingering_close always; with lingering_time (30s) and lingering_timeout (5s) as long as a \
                 client may need to notice the response. The default, on, lingers only where nginx expects \
                 more data.",
        documentation: "nginx, ngx_http_core_module: lingering_close, lingering_time, lingering_timeout",
    },
    Entry {
        servers: &[Nginx],
        rows: &["release"],
        change: "Lower lingering_time, which bounds the whole wait for a client, and lingering_timeout, \
                 which bounds its silence.",
        documentation: "nginx, ngx_http_core_module: lingering_time, lingering_timeout",
    },
    Entry {
        servers: &[Haproxy],
        rows: &["release"],
        change: "timeout client-fin 5s in the frontend: it bounds a half-closed connection, which otherwise \
                 has the whole timeout client.",
        documentation: "HAProxy Configuration Manual: timeout client-fin",
    },
    Entry {
        servers: &[Haproxy],
        rows: &["close.requested", "close.idle"],
        change: "Remove option nolinger from the frontend and from defaults, if it is there: it makes \
                 HAProxy end connections by a reset, which cuts responses off.",
        documentation: "HAProxy Configuration Manual: option nolinger",
    },
    Entry {
        servers: &[Envoy],
        rows: &["release"],
        change: "delayed_close_timeout of the HTTP connection manager above 0 (its default is 1 s): it \
                 bounds how long Envoy waits for the client to close.",
        documentation: "Envoy, HttpConnectionManager: delayed_close_timeout",
    },
    Entry {
        servers: &[Envoy],
        rows: &["early.reads_while_writing", "close.requested"],
        change: "delayed_close_timeout of the HTTP connection manager above 0 (its default is 1 s), and as \
                 long as a client may need to read the response: Envoy waits so long for the client to close \
                 before it lets go of the socket.",
        documentation: "Envoy, HttpConnectionManager: delayed_close_timeout",
    },
    Entry {
        servers: &[Go],
        rows: &["early", "large"],
        change: "In the handler, before the response is written: io.Copy(io.Discard, io.LimitReader(r.Body, \
                 n)), with the largest n that you are willing to read. Without it net/http reads 256 KiB \
                 more, waits half a second and closes; http.MaxBytesReader makes it close, too.",
        documentation: "Go, package net/http: Request.Body, ResponseWriter, MaxBytesReader",
    },
    Entry {
        servers: &[Node],
        rows: &["early", "large"],
        change: "Read the request to its end before the response ends, at least where that says Connection: \
                 close: req.resume(); req.on('end', () => res.end(…)). Bound it: destroy the socket of a \
                 client that sends too much.",
        documentation: "Node.js, Stream: readable.resume(), Event 'end'; HTTP: http.IncomingMessage",
    },
    Entry {
        servers: &[Axum],
        rows: &["early", "large", "close", "error", "release", "alert", "tls", "h2", "websocket", "flood"],
        change: "axum::serve(LingerListener::new(listener, LingerLayer::default()), app); over TLS \
                 TlsLingerListener::new(listener, linger.tls(acceptor)), so that alerts arrive, too.",
        documentation: "tower-linger: axum::LingerListener, axum::TlsLingerListener, LingerLayer::tls",
    },
    Entry {
        servers: &[Hyper],
        rows: &["early", "large", "close", "error", "release", "alert", "tls", "h2", "websocket", "flood"],
        change: "Put LingerLayer::default() around the service that serves a connection, and over TLS \
                 LingerLayer::default().tls(acceptor), so that alerts arrive, too.",
        documentation: "tower-linger: LingerLayer, LingerLayer::tls",
    },
    Entry {
        servers: &[Axum],
        rows: &["close.half_closed"],
        change: "axum::serve cannot be told to go on after a client's half-close. An accept loop of your own \
                 can: hyper_util::server::conn::auto::Builder, http1().half_close(true).",
        documentation: "hyper-util: server::conn::auto::Http1Builder::half_close",
    },
    Entry {
        servers: &[Hyper],
        rows: &["close.half_closed"],
        change: "half_close(true) of the HTTP/1 connection builder: hyper then answers a client that has \
                 ended its own side.",
        documentation: "hyper: server::conn::http1::Builder::half_close",
    },
    Entry {
        servers: &[Asgi],
        rows: &["early", "large"],
        change: "In the application, read the request's body to its end, or up to a bound, before the \
                 response begins: receive() until more_body is false; in Starlette and FastAPI async for _ \
                 in request.stream(): pass.",
        documentation: "ASGI, HTTP & WebSocket message format: Request; Starlette: Requests, Body",
    },
    Entry {
        servers: &[Wsgi],
        rows: &["early", "large"],
        change: "In the application, read environ['wsgi.input'] to the request's Content-Length, or up to a \
                 bound, before the response begins; in Flask request.get_data(cache=False).",
        documentation: "PEP 3333: Input and Error Streams; Flask: Request.get_data",
    },
];
