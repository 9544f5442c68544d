//! `linger-probe load` as a user runs it, and what it finds on servers that differ.

use std::ffi::OsStr;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, put};
use serde_json::Value;
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::ServerSessionMemoryCache;
use tower_linger::LingerLayer;
use tower_linger::axum::{LingerListener, TlsLingerListener};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::server::{Running, listen, serve};

#[path = "load/cost.rs"]
mod cost;
#[path = "load/odd.rs"]
mod odd;
#[path = "load/partial.rs"]
mod partial;

/// A probe that does not end by itself fails the test.
const BOUND: Duration = Duration::from_secs(120);

async fn probe<S: AsRef<OsStr>>(args: &[S]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linger-probe"));
    let output = command.arg("load").args(args).kill_on_drop(true).output();
    tokio::time::timeout(BOUND, output).await.expect("it ends").expect("it starts")
}

/// The report, and the exit status.
async fn json(args: &[&str]) -> (Value, Option<i32>) {
    let output = probe(&[args, &["--format", "json"]].concat()).await;
    let found = serde_json::from_slice(&output.stdout);
    (found.unwrap_or_else(|error| panic!("{error}: {output:?}")), output.status.code())
}

fn app() -> Router {
    let refuse = put(async || (StatusCode::PAYLOAD_TOO_LARGE, "no\n"));
    Router::new()
        .route("/", get(async || "hello\n").merge(refuse))
        .route("/large", get(async || vec![b'.'; 4 << 20]))
}

async fn layered() -> Running {
    serve(LingerListener::new(listen().await, LingerLayer::default()), app())
}

fn url(server: &Running) -> String {
    format!("http://{}/", server.address)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layer_loses_nothing_under_load_and_a_bare_server_does() {
    let (bare, layered) = (serve(listen().await, app()), layered().await);
    // The upload is larger than any socket buffer, so a client that stops at a failed write always loses.
    let plan = ["--mix", "early413", "--upload-size", "64MiB", "-c", "2", "-d", "0.5"];
    let (named, other) = (format!("bare={}", url(&bare)), format!("layered={}", url(&layered)));
    let (found, status) = json(&[&[named.as_str(), other.as_str()], &plan[..]].concat()).await;
    assert_eq!(status, Some(1), "{found:#}");
    let kind = |server: usize| &found["load"][server]["kinds"][0];
    assert_eq!((&found["load"][0]["name"], &kind(0)["complete"]), (&"bare".into(), &0.into()), "{found:#}");
    assert!(number(&kind(0)["reset"]) > 0, "{found:#}");
    assert_eq!(kind(1)["complete"], kind(1)["requests"], "{found:#}");
    assert_eq!(kind(1)["ended_in_reset"], 0, "{found:#}");

    // Each kind has its share, and each request has its own connection.
    let mixed = ["--mix", "get=8,early413=1,large=1", "--large-path", "/large", "-c", "4", "-d", "1"];
    let (found, status) = json(&[&[url(&layered).as_str()], &mixed[..]].concat()).await;
    assert_eq!(status, Some(0), "{found:#}");
    let load = &found["load"][0];
    let kinds = load["kinds"].as_array().expect("kinds");
    let requests: Vec<u64> = kinds.iter().map(|kind| number(&kind["requests"])).collect();
    assert!(
        requests[0].abs_diff(8 * requests[1]) <= 8 && requests[1].abs_diff(requests[2]) <= 1,
        "{found:#}"
    );
    assert_eq!(number(&load["connections"]), requests.iter().sum::<u64>(), "{found:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_carries_many_requests() {
    let server = layered().await;
    let (found, status) =
        json(&[&url(&server), "--keep-alive", "--mix", "get", "-c", "3", "-d", "0.5"]).await;
    assert_eq!(status, Some(0), "{found:#}");
    let load = &found["load"][0];
    assert_eq!(load["connections"], 3, "{found:#}");
    assert!(number(&load["kinds"][0]["complete"]) > 3, "{found:#}");
}

/// As many requests are sent as were due, and no more, whatever the server's pace is.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_loop_asks_at_its_own_pace() {
    let server = layered().await;
    let (found, status) = json(&[&url(&server), "--rate", "50", "--mix", "get", "-d", "1"]).await;
    assert_eq!(status, Some(0), "{found:#}");
    let load = &found["load"][0];
    let due = number(&load["kinds"][0]["requests"]) + number(&load["unsent"]);
    assert!((1..=51).contains(&due), "{found:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_sessions_are_resumed_where_that_is_asked_for() {
    let certs = Certs::make();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let authority = folder.path().join("ca");
    std::fs::write(&authority, certs.authority_pem()).expect("a temporary folder takes it");
    let authority = authority.to_str().expect("UTF-8");
    let mut config = certs.server(&Version::ALL, ClientAuth::None);
    config.session_storage = ServerSessionMemoryCache::new(256);
    config.send_tls13_tickets = 2;
    let tls = LingerLayer::default().tls(TlsAcceptor::from(Arc::new(config)));
    let server = serve(TlsLingerListener::new(listen().await, tls), app());
    let url = format!("https://{}/", server.address);
    let plan = [url.as_str(), "--ca", authority, "--mix", "get", "-c", "2", "-d", "0.5"];

    let (found, status) = json(&plan).await;
    assert_eq!((status, &found["load"][0]["resumed"]), (Some(0), &0.into()), "{found:#}");
    let kind = &found["load"][0]["kinds"][0];
    assert_eq!(kind["announced"], kind["ended"], "{found:#}");

    let (found, status) = json(&[&plan[..], &["--resume"]].concat()).await;
    assert_eq!(status, Some(0), "{found:#}");
    assert!(number(&found["load"][0]["resumed"]) > 0, "{found:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_is_written_in_every_format() {
    let server = layered().await;
    let url = format!("mine={}", url(&server));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = folder.path().join("page.html");
    let plan = ["-d", "0.3", "-c", "2", "--report", page.to_str().expect("UTF-8")];
    let output = probe(&[&[url.as_str()], &plan[..]].concat()).await;
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("early413") && text.contains("responses a second") && !text.contains("No server"),
        "{text}"
    );
    let page = std::fs::read_to_string(&page).expect("it is written");
    assert!(page.contains("mine under load") && page.contains("polyline"));
    let output = probe(&[&[url.as_str(), "--format", "junit"], &plan[..4]].concat()).await;
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains("load.early413") && text.contains("failures=\"0\""), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_one_line_and_status_2() {
    let server = layered().await;
    let url = url(&server);
    let free = format!("http://{}/", listen().await.local_addr().expect("bound"));
    let wrong: [&[&str]; 7] = [
        &[&url, "--mix", "put=1"],
        &[&url, "--mix", "get=0"],
        &[&url, "--mix", "large"],
        &[&url, "--rate", "0"],
        &[&url, "-c", "0"],
        &[&url, "-d", "-1"],
        &[&free],
    ];
    for args in wrong {
        let output = probe(args).await;
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}
