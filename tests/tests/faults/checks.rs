//! The checks of this suite can fail.

use super::scene::Server;

/// The descriptor, the tracker and the missing report each tell of it.
pub(crate) async fn a_connection_that_is_leaked_is_found() {
    let mut server = Server::start(&[]).await;
    let before = server.state().await;
    server.ask("leak").await;
    let after = server.state().await;
    let grown = |what: &str| after.number(what) - before.number(what);
    assert_eq!((grown("descriptors"), grown("served"), grown("accepts")), (1, 1, 1), "{after:#?}");
    assert_eq!((grown("reports"), grown("total")), (0, 0), "{after:#?}");
}
