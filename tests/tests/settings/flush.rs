//! Settings that bound the flush: what a TLS session still holds when its connection is dropped.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_linger::{Outcome, Phase, Release};
use tower_linger_tests::server::Engine;

use super::scene::{SHORT, Scene, fill, long, read_slowly, within};

/// The idle timeout may not be longer than the limit, so the limit is tried together with it.
#[tokio::test]
async fn a_client_that_takes_nothing_is_let_go_at_flush_idle_timeout_and_at_flush_limit() {
    for engine in Engine::ALL {
        for policy in [long().flush_idle_timeout(SHORT), long().flush_idle_timeout(SHORT).flush_limit(SHORT)]
        {
            let mut scene = Scene::tls(engine, policy).await;
            let (client, mut tunnel) = scene.tunnel(Some(16 << 10)).await;
            Box::pin(fill(&mut tunnel)).await;
            drop(tunnel);
            let report = scene.report().await;
            assert_eq!(
                (report.outcome, report.ended_in, report.release),
                (Outcome::FlushTimeout, Phase::Flush, Release::Abort),
                "{engine:?}"
            );
            drop(client);
        }
    }
}

/// The client reads so slowly that the kernel does not wake the server for longer than the timeout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flush_idle_timeout_keeps_a_client_that_reads_slowly_and_steadily() {
    for engine in Engine::ALL {
        let mut scene = Scene::tls(engine, long().flush_idle_timeout(5 * SHORT)).await;
        let (mut client, mut tunnel) = scene.tunnel(Some(64 << 10)).await;
        let sent = Box::pin(fill(&mut tunnel)).await;
        tunnel.shutdown().await.expect("it is left to the close");
        drop(tunnel);
        let read = read_slowly(&mut client).await;
        let mut rest = Vec::new();
        within(client.read_to_end(&mut rest)).await.expect("a close_notify");
        assert_eq!(read + rest.len(), sent, "{engine:?}");
        drop(client);
        let report = scene.report().await;
        assert_eq!(
            (report.outcome.is_limit(), report.sent_close_notify),
            (false, true),
            "{engine:?}: {report}"
        );
    }
}
