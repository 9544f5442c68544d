//! Delivery on a path that loses packets.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::put;
use tokio::net::TcpListener;
use tower_linger::LingerLayer;
use tower_linger::axum::LingerListener;
use tower_linger_tests::peer::{Client, End, Manner, Seen, head};
use tower_linger_tests::server::serve;
use tower_linger_tests::trace::Trace;

use super::scene::{SERVER, on_the_way_to_the_client};

/// More than the buffers of two sockets hold.
const UPLOAD_BYTES: usize = 64 << 20;
const CLIENTS: usize = 20;
const MESSAGE: &str = "too large\n";

/// CONFORMANCE 7, RFC 9112 §9.6: lost packets are sent again as long as the socket exists.
///
/// It is not recorded: the server drains more than a gigabyte, which a busy machine does not record whole.
pub(super) async fn an_early_answer_survives_the_loss_of_packets() {
    let listener = TcpListener::bind(SERVER).await.expect("the port is free");
    let server = serve(LingerListener::new(listener, LingerLayer::default()), app());
    let expected = Seen { status: Some(413), body: MESSAGE.len(), complete: true, end: End::Fin };
    let seen = uploads().await;
    assert_eq!(seen, vec![expected; CLIENTS]);
    drop(server);
}

/// The same without the layer, which shows that the layer makes the difference.
pub(super) async fn without_the_layer_an_early_answer_is_lost_with_the_packets() {
    let trace = Trace::start_cut();
    let server = serve(TcpListener::bind(SERVER).await.expect("the port is free"), app());
    let seen = uploads().await;
    assert!(seen.iter().all(|seen| seen.status.is_none()), "{seen:?}");
    drop(server);
    // hyper half-closes, and then closes with the upload unread.
    trace.assert(
        "without_the_layer_an_early_answer_is_lost_with_the_packets",
        &["reset by server (AfterFin, * unread, while sending); server closed first; ResetWhileReceiving by server: *"; CLIENTS],
    );
}

fn app() -> Router {
    Router::new().route("/", put(async || (StatusCode::PAYLOAD_TOO_LARGE, MESSAGE)))
}

/// What each client saw while 15 of 100 packets to it were lost. The clients connect before that begins.
async fn uploads() -> Vec<Seen> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Client::plain(SERVER, None).await.expect("loopback"));
    }
    on_the_way_to_the_client("numgen random mod 100 < 15 drop");
    let upload = async |client: Client| {
        client.exchange(&head("PUT", "/", UPLOAD_BYTES), UPLOAD_BYTES, Manner::StopsAtFailedWrite).await
    };
    let mut uploads = tokio::task::JoinSet::new();
    for client in clients {
        uploads.spawn(upload(client));
    }
    uploads.join_all().await
}
