//! The battery against axum, bare and with tower-linger.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, put};
use linger_probe::battery;
use linger_probe::check::{Abilities, check};
use linger_probe::model::{Ladders, Report, TargetReport, Verdict};
use linger_probe::target::{Options, Target};
use tokio::net::TcpListener;
use tower_linger::LingerLayer;
use tower_linger::axum::LingerListener;

fn app() -> Router {
    let large = axum::body::Bytes::from(vec![b'.'; 8 << 20]);
    Router::new()
        .route("/", get(async || "hello\n").merge(put(async || (StatusCode::PAYLOAD_TOO_LARGE, "no\n"))))
        .route("/large", get(async move || large.clone()))
}

fn target(name: &str, address: SocketAddr) -> Target {
    let url = format!("http://{address}/");
    Target { name: name.into(), url, address, authority: address.to_string(), path: "/".into(), tls: None }
}

async fn checked(target: &Target) -> TargetReport {
    let options = Options {
        large_path: Some("/large".into()),
        repetitions: 3,
        idle_timeout: Duration::from_millis(200),
        ..Options::default()
    };
    // The release rows wait for a server's real bounds. `axum::serve` does not set hyper's `half_close`, with or without us.
    let left_out = |name: &str| name.starts_with("release.") || name == "close.half_closed";
    let scenarios = battery::ALL.iter().filter(|scenario| !left_out(scenario.name));
    check(target, &options, Abilities { http2: true, ..Abilities::default() }, scenarios, |_| ())
        .await
        .expect("it listens")
}

fn failed(report: &TargetReport) -> Vec<&'static str> {
    let failed = report.rows.iter().filter(|row| row.verdict == Verdict::Fail);
    failed.map(|row| row.scenario).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn axum_fails_where_it_loses_and_passes_with_the_layer() {
    let bare = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let layered = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let bare_target = target("axum", bare.local_addr().expect("bound"));
    let layered_target = target("axum + tower-linger", layered.local_addr().expect("bound"));
    tokio::spawn(axum::serve(bare, app()).into_future());
    tokio::spawn(axum::serve(LingerListener::new(layered, LingerLayer::default()), app()).into_future());

    let report = checked(&layered_target).await;
    assert_eq!(
        failed(&report),
        Vec::<&str>::new(),
        "{}",
        linger_probe::report::render(
            &Report { version: "0", ladders: Ladders::SocketEvents, targets: vec![report.clone()] },
            linger_probe::report::Format::Text,
            false
        )
    );
    let failed = failed(&checked(&bare_target).await);
    for name in
        ["early.stops_at_error", "early.chunked", "early.slow", "large.unread_upload", "close.pipelined"]
    {
        assert!(failed.contains(&name), "{name} is not among {failed:?}");
    }
    assert!(!failed.contains(&"close.requested"), "{failed:?}");
}
