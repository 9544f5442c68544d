//! Uploads that are refused at once, by clients in many languages. A reset would take the answer from those
//! that write everything before they read, or that give up when a write fails.

mod clients;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::put;
use futures_util::future::join_all;

use self::clients::{Program, Request};
use super::page::{Cell, Table};
use super::server::{Ground, Kind, Server, Transport, heads};

/// How often each client tries each server.
pub(crate) const TRIES: usize = 5;
pub(crate) const UPLOAD_BYTES: usize = 32 << 20;
pub(crate) const MESSAGE: &str = "too large, said the handler\n";
pub(crate) const PATH: &str = "/upload";

const TRANSPORTS: [Transport; 4] = [Transport::Plain, Transport::Tls13, Transport::Tls12, Transport::Http2];

/// Refuses each upload without reading it.
pub(crate) fn app() -> Router {
    let refuse = async || (StatusCode::PAYLOAD_TOO_LARGE, MESSAGE);
    Router::new().route(PATH, put(refuse).post(refuse))
}

pub(crate) async fn programs_of_the_command_line_get_the_early_413() {
    check("command line", clients::COMMAND_LINE).await;
}

pub(crate) async fn python_gets_the_early_413() {
    check("Python", clients::PYTHON).await;
}

pub(crate) async fn java_gets_the_early_413() {
    check("Java", clients::JAVA).await;
}

pub(crate) async fn node_gets_the_early_413() {
    check("Node", clients::NODE).await;
}

pub(crate) async fn ruby_perl_and_php_get_the_early_413() {
    check("Ruby, Perl, PHP", clients::SCRIPTS).await;
}

pub(crate) async fn go_and_rust_get_the_early_413() {
    check("Go, Rust", clients::COMPILED).await;
}

/// Has each of these clients upload to each server that it can ask.
async fn check(name: &'static str, programs: &[Program]) {
    let ground = Ground::new();
    let body = ground.file("body", &vec![b'x'; UPLOAD_BYTES]);
    let clients = programs.iter().flat_map(|program| program.clients);
    let mut rows: Vec<(String, Vec<Cell>)> =
        clients.map(|client| (client.row.to_owned(), Vec::new())).collect();
    for program in programs {
        program.prepare(&ground).await;
    }
    let columns = TRANSPORTS.map(async |transport| {
        let mut columns = Vec::new();
        for kind in Kind::ALL {
            let server = Server::start(transport, kind, &ground, app()).await;
            let request = Request { transport, server: server.address(), ground: &ground, body: &body };
            let mut counts = Vec::new();
            for program in programs {
                counts.extend(program.upload(&request).await);
            }
            columns.push(counts.into_iter().map(move |count| Cell { kind, count }));
            server.end().await;
        }
        columns
    });
    for column in join_all(columns).await.into_iter().flatten() {
        for ((_, cells), cell) in rows.iter_mut().zip(column) {
            cells.push(cell);
        }
    }
    Table { name, heads: heads("client", &TRANSPORTS.map(Transport::name)), rows }.check();
}
