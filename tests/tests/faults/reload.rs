//! The certificate is exchanged.

use std::sync::Arc;

use tokio_rustls::rustls::ClientConfig;
use tower_linger_tests::peer::Client;

use super::good::Good;
use super::menagerie::Menagerie;
use super::scene::{Doors, Server, Target};

/// Sessions go on with the certificate with which they began.
pub(crate) async fn a_certificate_that_is_reloaded_concerns_only_new_sessions() {
    let mut server = Server::start(&[]).await;
    let (doors, good) = (server.doors(), Good::start(&server.doors()));
    let mut menagerie = Menagerie::open(&mut server).await;
    let [first, second] = [server.trusting_only(0), server.trusting_only(1)];
    assert_eq!((connects(&doors, &first).await, connects(&doors, &second).await), (true, false));
    server.ask("reload").await;
    assert_eq!((connects(&doors, &first).await, connects(&doors, &second).await), (false, true));
    menagerie.ask_again().await;
    good.served_more(15).await;
    good.assert_all_served().await;
    menagerie.go(&mut server).await;
    server.assert_at_rest(false).await;
}

async fn connects(doors: &Doors, trusting: &Arc<ClientConfig>) -> bool {
    Client::tls(doors.address(Target::Tls), None, trusting.clone()).await.is_ok()
}
