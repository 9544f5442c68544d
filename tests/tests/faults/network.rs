//! The network fails, or loses packets.

use super::good::{Good, serve_each};
use super::link;
use super::menagerie::Menagerie;
use super::scene::Server;

/// Closes end by their bounds; what is served goes on when the link is up again.
pub(crate) async fn a_link_that_is_down_ends_no_connection_but_those_that_close() {
    let mut server = Server::start(&[]).await;
    let good = Good::start(&server.doors());
    let mut menagerie = Menagerie::open(&mut server).await;
    link::set("down");
    let state = server.until("closes end without a link", |state| state.number("closing") == 0).await;
    assert!(state.number("served") > 0, "{state:#?}");
    link::set("up");
    menagerie.ask_again().await;
    serve_each(&server.doors()).await;
    // Those that could not connect, or whose packets wait for a retransmission.
    let _ = good.stop().await;
    menagerie.go(&mut server).await;
    server.assert_at_rest(false).await;
}

pub(crate) async fn fifteen_percent_loss_loses_no_response_and_no_connection() {
    let mut server = Server::start(&[]).await;
    let mut menagerie = Menagerie::open(&mut server).await;
    let good = Good::start(&server.doors());
    link::lose(15);
    good.served_more(9).await;
    menagerie.ask_again().await;
    server.until("closes end on such a link", |state| state.number("closing") < 3).await;
    // A reset that is lost is not sent again, so the clients leave by a link that loses nothing.
    link::lose_nothing();
    good.served_more(3).await;
    good.assert_all_served().await;
    menagerie.go(&mut server).await;
    server.assert_at_rest(false).await;
}
