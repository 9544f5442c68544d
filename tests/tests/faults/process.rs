//! The process is asked to end, or its runtime ends under its connections.

use nix::sys::signal::Signal;

use super::good::Good;
use super::menagerie::Menagerie;
use super::scene::Server;

/// Requests in flight are waited for, what goes on for longer is cut at the deadline, and clients that come
/// too late are refused.
pub(crate) async fn sigterm_ends_every_connection_and_then_the_server() {
    let mut server = Server::start(&[]).await;
    let good = Good::start(&server.doors());
    let menagerie = Menagerie::open(&mut server).await;
    good.served_more(6).await;
    server.signal(Signal::SIGTERM);
    server.until("all four servers have ended", |state| state.number("ended") == 4).await;
    let state = server.assert_settled(false).await;
    assert!(state.ended_as("shutdown_cut") > 0, "{state:#?}");
    // The loop of one's own drops its queue, as most do; `serve` does not.
    let failed = good.stop().await.failed;
    let lost: Vec<_> =
        failed.iter().filter(|how| !how.contains("refused") && !how.starts_with("Own")).collect();
    assert!(lost.is_empty(), "{lost:?}");
    menagerie.go(&mut server).await;
    server.ask("shutdown-timeout 1000").await;
    assert_gone(&mut server).await;
    assert!(server.exit().await.success());
}

/// Nobody can wait any more: each connection makes its best effort at once, and is reported.
pub(crate) async fn a_runtime_shut_down_in_the_background_leaves_nothing() {
    without_a_runtime("shutdown-background").await;
}

pub(crate) async fn a_runtime_shut_down_with_a_timeout_leaves_nothing() {
    without_a_runtime("shutdown-timeout 500").await;
}

async fn without_a_runtime(command: &str) {
    let mut server = Server::start(&[]).await;
    let good = Good::start(&server.doors());
    let menagerie = Menagerie::open(&mut server).await;
    good.served_more(6).await;
    server.ask(command).await;
    let state = server.assert_settled(false).await;
    assert!(state.ended_as("cancelled") >= menagerie.len() / 2, "{state:#?}");
    assert_gone(&mut server).await;
    let _ = good.stop().await;
    assert!(server.exit().await.success());
}

async fn assert_gone(server: &mut Server) {
    server
        .until("nothing is left of the runtime", |state| {
            state.number("tasks") == 0 && state.number("descriptors") == state.number("descriptors_before")
        })
        .await;
}
