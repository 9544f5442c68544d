//! The table in docs/stacks.md, rendered by running each of its cells.
//!
//! After an intended change: `UPDATE=1 cargo test -p tower-linger-tests --test hooks -- table`.

use std::fmt::Write as _;
use std::sync::Arc;

use tokio::sync::Notify;
use tower_linger::{LingerLayer, RequestLayer};

use crate::happening::{Framing, Happening, Sight, app, happen};
use crate::server::{Hook, Server, Tls};

/// One line of the table: a hook, and what it uses of this crate.
#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    hook: Hook,
    layered: bool,
    /// Whether the app has a `RequestLayer`. For poem and salvo the hook says that.
    watched: bool,
}

const fn bare(name: &'static str, hook: Hook) -> Row {
    Row { name, hook, layered: false, watched: false }
}

const fn layered(name: &'static str, hook: Hook) -> Row {
    Row { name, hook, layered: true, watched: false }
}

const fn watched(name: &'static str, hook: Hook) -> Row {
    Row { name, hook, layered: true, watched: true }
}

/// Each server alone, followed by the lines that are compared with it.
const ROWS: [Row; 20] = [
    bare("`axum::serve`, bare", Hook::Axum),
    layered("with `LingerListener`, `TlsLingerListener`", Hook::Axum),
    watched("with these and `RequestLayer`", Hook::Axum),
    bare("axum-server, bare", Hook::AxumServer),
    layered("with `LingerAcceptor`, `TlsLingerAcceptor`", Hook::AxumServer),
    bare("tonic, bare", Hook::Tonic),
    layered("with `LingerLayer::wrap`", Hook::Tonic),
    watched("with this and `RequestLayer`", Hook::Tonic),
    bare("poem, bare", Hook::Poem { watched: false }),
    layered("with `LingerListener`, `TlsLingerListener`, `RequestLayer`", Hook::Poem { watched: true }),
    bare("salvo, bare", Hook::Salvo { watched: false }),
    layered("with `LingerAcceptor`, `TlsLingerAcceptor`", Hook::Salvo { watched: false }),
    layered("with these and `RequestLayer`", Hook::Salvo { watched: true }),
    bare("hyper-util in a loop, bare", Hook::Layer),
    layered("with `LingerLayer`", Hook::Layer),
    watched("with `LingerLayer` and `RequestLayer`", Hook::Layer),
    layered("with `LingerLayer::classify(HyperErrors)`", Hook::HyperErrors),
    layered("with `LingerLayer::wrap`", Hook::Wrap),
    watched("with `LingerLayer::wrap` and `RequestLayer`", Hook::Wrap),
    layered("with `serve`", Hook::Serve),
];

/// The parts of the table.
const PARTS: [(&str, Framing, bool); 4] = [
    ("HTTP/1.1, chunked, plain", Framing::Chunked, false),
    ("HTTP/1.1, chunked, TLS", Framing::Chunked, true),
    ("HTTP/1.0, the body ends with the connection, plain", Framing::UntilClose, false),
    ("HTTP/1.0, the body ends with the connection, TLS", Framing::UntilClose, true),
];

const BEGIN: &str = "<!-- begin: rendered by tests/tests/hooks/table.rs -->";
const END: &str = "<!-- end -->";

#[tokio::test(flavor = "multi_thread")]
async fn the_table_in_the_docs_is_what_clients_see_and_never_worse_than_bare() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/stacks.md");
    let document = std::fs::read_to_string(path).expect("docs/stacks.md");
    let begin = document.find(BEGIN).expect("the table's beginning") + BEGIN.len();
    let end = begin + document[begin..].find(END).expect("the table's end");
    let rendered = rendered().await;
    if std::env::var_os("UPDATE").is_some() {
        let updated = format!("{}{rendered}{}", &document[..begin], &document[end..]);
        std::fs::write(path, updated).expect("docs/stacks.md");
    } else {
        assert_eq!(rendered, document[begin..end], "run with UPDATE=1 if this is meant");
    }
}

async fn rendered() -> String {
    let certificate = Tls::make();
    let mut table = String::from("\n");
    for (name, framing, tls) in PARTS {
        let happenings: Vec<Happening> =
            Happening::ALL.into_iter().filter(|happening| happening.is_possible(framing)).collect();
        write!(table, "\n{name}:\n\n| hook |").expect("writes to a String");
        for happening in &happenings {
            write!(table, " {} |", happening.name()).expect("writes to a String");
        }
        table.push_str("\n|---|");
        table.push_str(&"---|".repeat(happenings.len()));
        table.push('\n');
        let tls = tls.then_some(&certificate);
        let mut alone = Vec::new();
        for row in ROWS {
            // At the same time, because a reset that settles first takes a moment.
            let cells: Vec<_> = happenings
                .iter()
                .map(|happening| tokio::spawn(cell(row, *happening, framing, tls.cloned())))
                .collect();
            let mut sights = Vec::new();
            for cell in cells {
                sights.push(cell.await.expect("a cell"));
            }
            if row.layered {
                check(row, name, &happenings, &sights, &alone);
            }
            write!(table, "| {} |", row.name).expect("writes to a String");
            for sight in &sights {
                write!(table, " {} |", shown(sight.as_ref())).expect("writes to a String");
            }
            table.push('\n');
            if !row.layered {
                alone = sights;
            }
        }
    }
    table.push('\n');
    table
}

async fn cell(row: Row, happening: Happening, framing: Framing, tls: Option<Tls>) -> Option<Sight> {
    if happening == Happening::Upgrade && !row.hook.upgrades() {
        return None;
    }
    let gate = Arc::new(Notify::new());
    let app = if row.watched { app(&gate).layer(RequestLayer) } else { app(&gate) };
    let linger = row.layered.then(LingerLayer::default);
    let mut server = Server::start(row.hook, tls.as_ref(), linger, app);
    Some(happen(happening, framing, tls.is_some(), &gate, &mut server).await)
}

fn shown(sight: Option<&Sight>) -> String {
    sight.map_or_else(|| "–".to_owned(), Sight::to_string)
}

/// Asserts what the layer promises for each cell.
fn check(row: Row, part: &str, happenings: &[Happening], layered: &[Option<Sight>], bare: &[Option<Sight>]) {
    for ((happening, layered), bare) in happenings.iter().zip(layered).zip(bare) {
        let (Some(layered), Some(bare)) = (layered, bare) else { continue };
        let at = format!("{part}: {}: {}: {layered}, bare {bare}", row.name, happening.name());
        assert!(!layered.is_worse_than(bare), "{at}");
        assert!(layered.is_true(), "{at}");
    }
}
