//! Peers in Python and JavaScript that break the rules of TLS, HTTP/2 and `WebSocket`. Each prints a line for
//! every rule: its name, how many tries ended as they have to, of how many, and what was seen.

mod socket;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::{get, post};
use futures_util::future::join_all;

use super::page::{Cell, Count, Table};
use super::programs::{program, python, run, source, text};
use super::server::{Ground, Kind, Server, Transport, heads};

/// What a peer prints of one rule.
struct Line {
    rule: String,
    count: Count,
}

/// Runs a peer against this server. One try is enough to see what a bare server does.
async fn ask(script: &str, server: &Server, kind: Kind, more: &str) -> Vec<Line> {
    let tries = if kind == Kind::Bare { "1" } else { "3" };
    let mut command = if script.ends_with("js") { program("node") } else { program(&python()) };
    command.arg(source(script)).args([&server.address().port().to_string(), tries, more]);
    // Where Debian has the packages of Node, and no folders of what Python has compiled.
    command.envs([("NODE_PATH", "/usr/share/nodejs"), ("PYTHONDONTWRITEBYTECODE", "1")]);
    lines(&text(&run(&mut command).await.stdout))
}

fn lines(printed: &str) -> Vec<Line> {
    let line = |line: &str| {
        let mut words = line.split('\t');
        let mut next = || words.next().unwrap_or_else(|| panic!("a peer printed: {line}")).to_owned();
        let (rule, good, tries) = (next(), next(), next());
        let [good, tries] = [good, tries].map(|number| number.parse().expect("a number"));
        Line { rule, count: Count { good, tries } }
    };
    // Shown if the test fails.
    println!("{printed}");
    printed.lines().map(line).collect()
}

/// A table whose rows the peers name. `columns` has the servers' names and what was seen of each.
fn table(name: &'static str, columns: &[(&'static str, Kind, Vec<Line>)]) -> Table {
    let names: Vec<&str> = columns.iter().step_by(2).map(|(name, ..)| *name).collect();
    let mut rows: Vec<(String, Vec<Cell>)> = Vec::new();
    for (_, kind, lines) in columns {
        for Line { rule, count } in lines {
            let cell = Cell { kind: *kind, count: Some(*count) };
            match rows.iter_mut().find(|(name, _)| name == rule) {
                Some((_, cells)) => cells.push(cell),
                None => rows.push((rule.clone(), vec![cell])),
            }
        }
    }
    for (rule, cells) in &rows {
        assert_eq!(cells.len(), columns.len(), "{rule} was not tried everywhere");
    }
    Table { name, heads: heads("", &names), rows }
}

fn app() -> Router {
    let refuse = post(async || (StatusCode::PAYLOAD_TOO_LARGE, "too large\n"));
    // Keeps a body and reads nothing of it, so that its window fills up. A body that is dropped would give
    // the connection's window back.
    let waits = post(async |body: Body| {
        std::future::pending::<()>().await;
        drop(body);
        StatusCode::NO_CONTENT
    });
    Router::new().route("/", get(async || "hello\n")).route("/upload", refuse).route("/waits", waits)
}

/// What was seen of servers over each of these transports, bare and with the layer, all at the same time.
async fn columns<const N: usize>(
    transports: [Transport; N],
    ask: impl AsyncFn(Transport, Kind) -> Vec<Line>,
) -> Vec<(&'static str, Kind, Vec<Line>)> {
    let columns = transports.into_iter().flat_map(|transport| Kind::ALL.map(|kind| (transport, kind)));
    let ask = &ask;
    let asked = columns.map(async |(transport, kind)| (transport.name(), kind, ask(transport, kind).await));
    join_all(asked).await
}

pub(crate) async fn tls_conversations_with_rustls_that_fail_end_in_an_alert_and_a_fin() {
    tls("TLS by rustls", [(Transport::Tls13, "1.3"), (Transport::Tls12Rustls, "1.2")]).await;
}

pub(crate) async fn tls_conversations_with_openssl_that_fail_end_in_an_alert_and_a_fin() {
    tls("TLS by OpenSSL", [(Transport::Tls13OpenSsl, "1.3"), (Transport::Tls12, "1.2")]).await;
}

async fn tls(name: &'static str, versions: [(Transport, &str); 2]) {
    let ground = Ground::new();
    let columns = columns(versions.map(|(transport, _)| transport), async |transport, kind| {
        let version = versions.iter().find(|(its, _)| *its == transport).expect("one of the two").1;
        let server = Server::start(transport, kind, &ground, app()).await;
        let lines = ask("judges/peers/tls.py", &server, kind, version).await;
        server.end().await;
        lines
    });
    table(name, &columns.await).check();
}

pub(crate) async fn broken_http2_ends_in_goaway_and_a_fin() {
    const TRANSPORTS: [Transport; 3] = [Transport::Plain, Transport::Http2, Transport::Http2OpenSsl];
    let ground = Ground::new();
    let columns = columns(TRANSPORTS, async |transport, kind| {
        let server = Server::start(transport, kind, &ground, app()).await;
        let lines = ask("judges/peers/http2.py", &server, kind, &ground.authority_for(transport)).await;
        server.end().await;
        lines
    });
    table("HTTP/2", &columns.await).check();
}

pub(crate) async fn websockets_are_told_why_they_end() {
    const TRANSPORTS: [Transport; 2] = [Transport::Plain, Transport::Tls13];
    let ground = Ground::new();
    let columns = columns(TRANSPORTS, async |transport, kind| {
        let mut lines = Vec::new();
        for script in ["judges/peers/websockets_end.py", "judges/peers/websockets_end.js"] {
            let server = Server::start(transport, kind, &ground, socket::app()).await;
            lines.extend(ask(script, &server, kind, &ground.authority_for(transport)).await);
            server.end().await;
        }
        lines
    });
    table("WebSocket", &columns.await).check();
}
