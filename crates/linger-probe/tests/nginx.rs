//! nginx, the model for lingering close, passes the rows where it lingers and fails those where it does not.
//!
//! Run by `make nginx`. On Debian, `make needs` installs what it needs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use linger_probe::battery;
use linger_probe::check::check;
use linger_probe::discover::discover;
use linger_probe::find::find;
use linger_probe::model::{TargetReport, Verdict};
use linger_probe::target::{Options, Tls};
use linger_probe::trust::Trust;
use tower_linger_tests::certs::{Certs, Version};
use tower_linger_tests::nginx::Nginx;
use tower_linger_tests::server::listen;

/// Runs the whole battery, as far as the probe's first look finds that the server supports it.
async fn checked(url: &str, certs: &Certs) -> TargetReport {
    let options = Options {
        repetitions: 3,
        idle_timeout: Duration::from_secs(10),
        release_timeout: Duration::from_secs(8),
        ..Options::default()
    };
    let mut target = find(url, &Trust::default(), &options, false).await.expect("nginx is there");
    if let Some(Tls { config, .. }) = &mut target.tls {
        *config = Arc::new(certs.client(&[Version::Tls12, Version::Tls13]));
    }
    let abilities = discover(&mut target, &options).await.expect("nginx answers");
    assert_eq!((abilities.http2, abilities.alpn), (target.tls.is_some(), target.tls.is_some()));
    check(&target, &options, &abilities, battery::ALL, |_| ()).await
}

fn failed(report: &TargetReport) -> Vec<&'static str> {
    report.rows.iter().filter(|row| row.verdict == Verdict::Fail).map(|row| row.scenario).collect()
}

/// Free ports.
async fn ports<const N: usize>() -> [u16; N] {
    let mut held = Vec::new();
    for _ in 0..N {
        held.push(listen().await);
    }
    std::array::from_fn(|index| held[index].local_addr().as_ref().map_or(0, SocketAddr::port))
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_passes_what_it_is_known_to_pass() {
    let certs = Certs::make();
    let [always, tls, off] = ports().await;
    let common =
        "lingering_timeout 1s; lingering_time 5s; keepalive_timeout 1s; location / { return 200 hello; }";
    let servers = format!(
        "server {{ listen 127.0.0.1:{always}; lingering_close always; {common} }}\n\
         server {{ listen 127.0.0.1:{off}; lingering_close off; {common} }}\n\
         server {{ listen 127.0.0.1:{tls} ssl http2; lingering_close always; ssl_certificate {{folder}}/cert; \
         ssl_certificate_key {{folder}}/key; {common} }}\n"
    );
    let (cert, key) = certs.server_pem();
    let mut nginx = Nginx::start(&servers, &[("cert", cert), ("key", key)]);
    nginx.listens_at(tls).await;

    let report = checked(&format!("http://127.0.0.1:{always}/"), &certs).await;
    assert_eq!(failed(&report), [""; 0], "{report:#?}");
    assert!(report.count(Verdict::Pass) >= 14, "{report:#?}");

    // nginx does not linger after a failed handshake.
    let report = checked(&format!("https://127.0.0.1:{tls}/"), &certs).await;
    assert_eq!(failed(&report), ["flood.alert_protocol", "flood.alert_version"], "{report:#?}");
    assert!(report.count(Verdict::Pass) >= 18, "{report:#?}");

    let report = checked(&format!("http://127.0.0.1:{off}/"), &certs).await;
    let failed = failed(&report);
    // nginx reads the body of a valid request even without lingering, so other rows may pass.
    for name in ["flood.bad_request", "flood.headers"] {
        assert!(failed.contains(&name), "{name} is not among {failed:?}");
    }
}
