//! Settings that end the drain, and that decide how the socket is released.

use nix::sys::socket::{getsockopt, sockopt::TcpUserTimeout};
use tokio::io::AsyncWriteExt;
use tower_linger::{CloseReport, Outcome, Release};
use tower_linger_tests::peer::Client;
use tower_linger_tests::server::Engine;

use super::scene::{LONG, SHORT, Scene, long, within};

/// The report of a client that is silent and stays.
async fn silent(mut scene: Scene) -> (CloseReport, Client) {
    let client = scene.answered().await;
    (scene.report().await, client)
}

/// The report of a client that sends as long as it can.
async fn flooding(mut scene: Scene) -> CloseReport {
    let mut client = scene.answered().await;
    let flood = tokio::spawn(async move { while client.write_all(&vec![0; 64 << 10]).await.is_ok() {} });
    let report = scene.report().await;
    within(flood).await.expect("no panic");
    report
}

#[tokio::test]
async fn drain_idle_timeout_lets_a_silent_client_go() {
    for engine in Engine::ALL {
        let (report, _client) = silent(Scene::plain(engine, long().drain_idle_timeout(SHORT)).await).await;
        assert_eq!((report.outcome, report.release), (Outcome::DrainIdle, Release::Close), "{engine:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_limit_lets_a_client_go_that_never_stops() {
    for engine in Engine::ALL {
        let policy = long().drain_idle_timeout(2 * SHORT).drain_limit(2 * SHORT);
        let report = flooding(Scene::plain(engine, policy).await).await;
        assert_eq!(report.outcome, Outcome::DrainDeadline, "{engine:?}");
        assert!(report.bytes_drained > 0, "{engine:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_limit_bytes_is_exact() {
    for engine in Engine::ALL {
        let report = flooding(Scene::plain(engine, long().drain_limit_bytes(1_000_003)).await).await;
        assert_eq!((report.outcome, report.bytes_drained), (Outcome::DrainLimit, 1_000_003), "{engine:?}");
    }
}

#[tokio::test]
async fn drain_min_rate_lets_a_client_go_that_sends_too_little() {
    for engine in Engine::ALL {
        let mut scene = Scene::plain(engine, long().drain_min_rate(1 << 40, SHORT)).await;
        let mut client = scene.answered().await;
        client.write_all(b"a little").await.expect("it is drained");
        let report = scene.report().await;
        assert_eq!((report.outcome, report.bytes_drained), (Outcome::DrainRate, 8), "{engine:?}");
    }
}

#[tokio::test]
async fn without_drain_releases_right_after_the_fin() {
    for engine in Engine::ALL {
        let (report, _client) = silent(Scene::plain(engine, long().without_drain()).await).await;
        assert_eq!((report.outcome, report.bytes_drained), (Outcome::Undrained, 0), "{engine:?}");
    }
}

#[tokio::test]
async fn early_release_lets_a_client_go_that_has_everything() {
    for engine in Engine::ALL {
        let (report, _client) = silent(Scene::plain(engine, long().early_release(1)).await).await;
        assert_eq!((report.outcome, report.unacked), (Outcome::Acknowledged, Some(0)), "{engine:?}");
    }
}

#[tokio::test]
async fn at_limit_says_whether_the_client_is_reset() {
    for engine in Engine::ALL {
        for release in [Release::Close, Release::Abort] {
            let policy = long().drain_idle_timeout(SHORT).at_limit(release);
            let (report, client) = silent(Scene::plain(engine, policy).await).await;
            assert_eq!((report.outcome, report.release), (Outcome::DrainIdle, release), "{engine:?}");
            // A read would return the FIN that came before the reset.
            let is_reset = client.tcp().take_error().expect("a socket").is_some();
            assert_eq!(is_reset, release == Release::Abort, "{engine:?} {release:?}");
        }
    }
}

/// A second descriptor of the socket shows the option.
#[tokio::test]
async fn orphan_timeout_is_the_kernels_bound_after_the_release() {
    for engine in Engine::ALL {
        for (policy, milliseconds) in [(long(), 0), (long().orphan_timeout(70 * SHORT), 7_000)] {
            let mut scene = Scene::shared(engine, policy.drain_idle_timeout(SHORT)).await;
            let _client = scene.answered().await;
            let report = scene.report().await;
            assert_eq!(report.outcome, Outcome::DrainIdle, "{engine:?}");
            let socket = scene.descriptor().await;
            assert_eq!(getsockopt(&socket, TcpUserTimeout), Ok(milliseconds), "{engine:?}");
        }
    }
}

/// The client's answer to our `close_notify` ends the close: its FIN is not waited for.
#[tokio::test]
async fn await_close_notify_ends_with_the_clients_close_notify() {
    for engine in Engine::ALL {
        for waits in [true, false] {
            let policy = if waits { long().await_close_notify(LONG, 1 << 20) } else { long() };
            let mut scene = Scene::tls(engine, policy).await;
            let mut client = scene.answered().await;
            client.write_all(b"sent before it knew").await.expect("it is drained");
            client.send_close_notify().await.expect("it is drained");
            let client = if waits {
                Some(client)
            } else {
                drop(client);
                None
            };
            let report = scene.report().await;
            assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: waits }, "{engine:?}");
            drop(client);
        }
    }
}
