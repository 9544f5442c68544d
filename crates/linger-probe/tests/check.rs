//! The battery against axum, bare and with tower-linger, plain and over TLS.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::routing::{get, put};
use linger_probe::battery;
use linger_probe::check::{Abilities, check};
use linger_probe::model::{Report, TargetReport, Verdict};
use linger_probe::report::{Format, render};
use linger_probe::target::{Options, Target, Tls};
use tokio_rustls::TlsAcceptor;
use tower_linger::LingerLayer;
use tower_linger::axum::{LingerListener, TlsLingerListener};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::server::{BareTls, Http, Running, accept_loop, listen, serve};

/// Refuses every upload without reading it.
fn app() -> Router {
    let large = Bytes::from(vec![b'.'; 8 << 20]);
    Router::new()
        .route("/", get(async || "hello\n").merge(put(async || (StatusCode::PAYLOAD_TOO_LARGE, "no\n"))))
        .route("/large", get(async move || large.clone()))
        .route("/websocket", get(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(until_closed)))
}

async fn until_closed(mut socket: WebSocket) {
    while let Some(Ok(_)) = socket.recv().await {}
}

fn target(server: &Running, tls: Option<&Certs>) -> Target {
    let tls = tls.map(|certs| Tls {
        name: server.address.ip().into(),
        config: Arc::new(certs.client(&[Version::Tls13])),
    });
    Target::at(server.address, tls)
}

/// Checks all rows except those that wait for a server's real timeouts, and except `close.half_closed`,
/// because `axum::serve` does not set hyper's `half_close`, with or without the layer.
async fn checked(target: &Target, abilities: &Abilities) -> TargetReport {
    let left_out = |name: &str| name.starts_with("release.") || name == "close.half_closed";
    let scenarios = battery::ALL.iter().filter(|scenario| !left_out(scenario.name));
    check(target, &options(3), abilities, scenarios, |_| ()).await
}

fn options(repetitions: u32) -> Options {
    Options {
        large_path: Some("/large".into()),
        websocket_path: Some("/websocket".into()),
        repetitions,
        idle_timeout: Duration::from_millis(200),
        ..Options::default()
    }
}

fn with(report: &TargetReport, verdict: Verdict) -> Vec<&'static str> {
    report.rows.iter().filter(|row| row.verdict == verdict).map(|row| row.scenario).collect()
}

#[track_caller]
fn assert_nothing_fails(report: TargetReport) {
    let failed = with(&report, Verdict::Fail);
    let report = Report { targets: vec![report], ..Report::default() };
    assert!(failed.is_empty(), "{}", render(&report, Format::Text, false));
}

#[track_caller]
fn assert_fails(report: &TargetReport, names: &[&str]) {
    let failed = with(report, Verdict::Fail);
    for name in names {
        assert!(failed.contains(name), "{name} is not among {failed:?}");
    }
    assert!(with(report, Verdict::Pass).contains(&"close.requested"), "{failed:?}");
}

/// What these servers support over plain TCP.
fn http2() -> Abilities {
    Abilities { http2: true, ..Abilities::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn axum_fails_where_it_loses_and_passes_with_the_layer() {
    let layered = serve(LingerListener::new(listen().await, LingerLayer::default()), app());
    let bare = serve(listen().await, app());
    assert_nothing_fails(checked(&target(&layered, None), &http2()).await);
    let lost = ["early.stops_at_error", "early.chunked", "early.slow", "flood.pipelined", "flood.websocket"];
    assert_fails(&checked(&target(&bare, None), &http2()).await, &lost);
    // A client that reads fast enough escapes this reset now and then, so that three tries may not show it.
    let large = battery::ALL.iter().filter(|scenario| scenario.name == "large.unread_upload");
    let report = check(&target(&bare, None), &options(30), &http2(), large, |_| ()).await;
    assert_eq!(with(&report, Verdict::Fail), ["large.unread_upload"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn axum_over_tls_fails_where_it_loses_and_passes_with_the_layer() {
    let certs = Certs::make();
    let acceptor = |client_auth| {
        let mut config = certs.server(&Version::ALL, client_auth);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    };
    let linger = LingerLayer::default();
    let abilities = Abilities { alpn: true, ..http2() };

    let tls = linger.clone().tls(acceptor(ClientAuth::None));
    let layered = serve(TlsLingerListener::new(listen().await, tls), app());
    assert_nothing_fails(checked(&target(&layered, Some(&certs)), &abilities).await);
    let bare = accept_loop(listen().await, BareTls::new(acceptor(ClientAuth::None), Http::new(app())));
    let lost = [
        "early.stops_at_error",
        "large.unread_upload",
        "tls.answered",
        "flood.alert_protocol",
        "flood.alert_version",
    ];
    assert_fails(&checked(&target(&bare, Some(&certs)), &abilities).await, &lost);

    // A server that requires a certificate sends a client without one nothing but an alert.
    let alert = battery::ALL.iter().filter(|scenario| scenario.name == "flood.alert_certificate");
    let abilities = Abilities { client_certificate: true, ..abilities };
    let tls = linger.tls(acceptor(ClientAuth::Required));
    let layered = serve(TlsLingerListener::new(listen().await, tls), app());
    let bare = accept_loop(listen().await, BareTls::new(acceptor(ClientAuth::Required), Http::new(app())));
    for (server, verdict) in [(layered, Verdict::Pass), (bare, Verdict::Fail)] {
        let target = target(&server, Some(&certs));
        let report = check(&target, &Options::default(), &abilities, alert.clone(), |_| ()).await;
        assert_eq!(with(&report, verdict), ["flood.alert_certificate"]);
    }
}

/// A server that reads the whole upload before it answers does not show how it refuses one.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_refused_uploads_do_not_apply_to_a_server_that_reads_everything() {
    let app = Router::new()
        .route("/", put(async |body: Bytes| body.len().to_string()))
        .layer(DefaultBodyLimit::disable());
    let server = serve(listen().await, app);
    let refused = |name: &str| name.starts_with("early.") || name == "h2.refused_upload";
    let scenarios = battery::ALL.iter().filter(|scenario| refused(scenario.name));
    let tried = scenarios.clone().count();
    let report = check(&target(&server, None), &Options::default(), &http2(), scenarios, |_| ()).await;
    for row in &report.rows {
        assert_eq!(row.verdict, Verdict::NotApplicable, "{row:#?}");
        assert!(row.reason.contains("it read everything"), "{}", row.reason);
    }
    assert_eq!(report.rows.len(), tried);
}
