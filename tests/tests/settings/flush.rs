//! What bounds the bytes that a TLS session has not got rid of when its connection is dropped.

use tower_linger::{Outcome, Phase, Release};
use tower_linger_tests::server::Engine;

use super::scene::{SHORT, Scene, fill, long};

/// The idle timeout may not be longer than the limit, so the second one is tried with both.
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
