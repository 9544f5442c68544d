//! Ladders made from packets. Each test runs in a network namespace of its own, where it may capture packets.

#[cfg(target_os = "linux")]
mod wire {
    use std::sync::Arc;

    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::any;
    use linger_probe::battery;
    use linger_probe::check::{Abilities, check};
    use linger_probe::find::find;
    use linger_probe::model::{Event, Ladders, Side, What};
    use linger_probe::target::Options;
    use linger_probe::trust::Trust;
    use tokio_rustls::TlsAcceptor;
    use tower_linger::LingerLayer;
    use tower_linger_tests::certs::{Certs, ClientAuth, Version};
    use tower_linger_tests::server::{BareTls, Engine, Http, Running, accept_loop, listen};

    /// More than the buffers of two sockets hold.
    const UPLOAD_BYTES: u64 = 64 << 20;

    /// No socket can tell that `close_notify` and FIN left in one segment, or when exactly a reset came.
    pub(super) async fn a_ladder_from_packets_shows_what_left_together() {
        let certs = Certs::make();
        for version in Version::ALL {
            let linger = LingerLayer::default();
            let acceptor = || TlsAcceptor::from(Arc::new(certs.server(&[version], ClientAuth::None)));
            let layered = Engine::Hyper.layered(listen().await, &linger, Some(acceptor()), app());
            let ladder = ladder(&layered, &certs, version, "tls.close_notify").await;
            let whats: Vec<_> = ladder.iter().map(|event| (event.side, &event.what)).collect();
            let position = |side, what: What| {
                let found = ladder.iter().position(|event| event.side == side && event.what == what);
                found.unwrap_or_else(|| panic!("{side:?} never sends {what:?}: {whats:?}"))
            };
            assert_eq!(position(Side::Client, What::Connect), 0, "{whats:?}");
            let (notify, fin) =
                (position(Side::Server, What::CloseNotify), position(Side::Server, What::Fin));
            assert_eq!((notify + 1, ladder[notify].at), (fin, ladder[fin].at), "{version:?}: {ladder:?}");
            assert!(position(Side::Client, What::Fin) > fin, "{whats:?}");
            assert!(!whats.contains(&(Side::Server, &What::Reset)), "{whats:?}");

            let bare = accept_loop(listen().await, BareTls::new(acceptor(), Http::new(app())));
            let ladder = self::ladder(&bare, &certs, version, "early.stops_at_error").await;
            let is_reset = |event: &Event| event.side == Side::Server && event.what == What::Reset;
            assert!(ladder.iter().any(is_reset), "{ladder:?}");
        }
    }

    /// `demo --wire` writes a file for each server, and `read` of it says what the demo says: without the layer,
    /// the server resets connections while their clients send; with it, it resets none.
    pub(super) async fn the_demos_packets_say_what_the_demo_says() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().to_str().expect("UTF-8");
        let (status, _) = probe(&["demo", "--runs", "2", "--upload-size", "32MiB", "--wire", path]).await;
        assert_eq!(status, Some(0));
        for (name, layered) in
            [("bare", false), ("layered", true), ("bare-tls", false), ("layered-tls", true)]
        {
            let file = folder.path().join(format!("{name}.pcapng"));
            let file = file.to_str().expect("UTF-8");
            let (status, output) = probe(&["read", "--format", "json", file]).await;
            assert_eq!(status, Some(i32::from(!layered)), "{name}: {output}");
            let read: serde_json::Value = serde_json::from_str(&output).expect("JSON");
            let [server] = &read["servers"].as_array().expect("a list")[..] else { panic!("{output}") };
            let kinds = &server["kinds"];
            let count = |kind: &str| kinds[kind].as_u64().unwrap_or_else(|| panic!("no {kind} in {kinds}"));
            if layered {
                let resets = ["server_reset_while_receiving", "server_reset", "middlebox", "timeout", "icmp"];
                assert_eq!(resets.map(count), [0; 5], "{name}: {kinds}");
                assert_eq!(server["lossy"], 0, "{name}: {server}");
                // A client may reset its own connection: it closes before the server's last segment comes.
                let normal = count("normal") + 2;
                assert!(normal >= server["connections"].as_u64().expect("a number"), "{name}: {kinds}");
            } else {
                assert!(count("server_reset_while_receiving") > 4, "{name}: {kinds}");
            }
        }
    }

    /// The exit status and standard output of the command.
    async fn probe(arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_linger-probe"));
        let output = command.args(arguments).kill_on_drop(true).output().await.expect("it starts");
        (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
    }

    fn app() -> Router {
        Router::new().route("/413", any(async || (StatusCode::PAYLOAD_TOO_LARGE, "not like this\n")))
    }

    async fn ladder(server: &Running, certs: &Certs, version: Version, scenario: &str) -> Vec<Event> {
        let options =
            Options { wire: true, repetitions: 1, upload_bytes: UPLOAD_BYTES, ..Options::default() };
        let url = format!("https://{}/413", server.address);
        let mut target = find(&url, &Trust::default(), &options, false).await.expect("a URL");
        if let Some(tls) = &mut target.tls {
            tls.config = Arc::new(certs.client(&[version]));
        }
        let scenarios = battery::ALL.iter().filter(|found| found.name == scenario);
        let report = check(&target, &options, &Abilities::default(), scenarios, |_| ()).await;
        assert_eq!(report.ladders, Ladders::Packets);
        report.rows.into_iter().next().expect("the scenario is known").ladder
    }
}

#[cfg(target_os = "linux")]
tower_linger_tests::wire_tests! {
    async fn wire::a_ladder_from_packets_shows_what_left_together;
    async fn wire::the_demos_packets_say_what_the_demo_says;
}

#[cfg(not(target_os = "linux"))]
fn main() {}
