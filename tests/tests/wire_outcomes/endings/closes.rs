//! Normal closes, and those that are not finished.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::scene::{Held, REQUEST, RESPONSE, Scene, check, endings, exchange, read_all};

/// RFC 9293 §3.6: which side closed first, which one waits, and which one never closes.
pub(crate) async fn each_close_is_normal_or_half_closed() {
    let list = endings! {
        Both server_first() => ["normal by server"];
        Both client_first() => ["normal by client"];
        Both client_half_closes_first() => ["normal by client"];
        Both at_the_same_time() => ["normal by *; SimultaneousClose"];
        Both server_never_closes() => ["half_closed by client; client closed first*CloseWait of server*"];
        Both client_never_closes() => ["half_closed by server; server closed first*CloseWait of client*"];
        Both idle() => ["open; doubt: ends open"];
        Both a_request_is_not_answered() => ["open; doubt: ends open"];
    };
    check("closes", &list).await;
}

async fn server_first(scene: Scene) {
    let (server, mut client) = scene.idle().await;
    drop(server);
    assert_eq!(read_all(&mut client).await.expect("a FIN"), 0);
}

async fn client_first(scene: Scene) {
    let (mut server, client) = scene.idle().await;
    drop(client);
    assert_eq!(read_all(&mut server).await.expect("a FIN"), 0);
}

async fn client_half_closes_first(scene: Scene) {
    let (mut server, mut client) = scene.connect().await;
    client.write_all(REQUEST).await.expect("loopback");
    client.shutdown().await.expect("loopback");
    assert_eq!(read_all(&mut server).await.expect("a FIN"), REQUEST.len());
    server.write_all(RESPONSE).await.expect("loopback");
    drop(server);
    assert_eq!(read_all(&mut client).await.expect("a FIN"), RESPONSE.len());
}

/// Both FINs are lost, so that neither side knows of the other's when it sends its own.
async fn at_the_same_time(scene: Scene) {
    let (mut server, mut client) = scene.idle().await;
    scene.both_ways("drop");
    server.shutdown().await.expect("loopback");
    client.shutdown().await.expect("loopback");
    scene.heal();
    assert_eq!(read_all(&mut client).await.expect("a FIN"), 0);
    assert_eq!(read_all(&mut server).await.expect("a FIN"), 0);
}

async fn server_never_closes(scene: Scene) -> Held {
    let (mut server, mut client) = scene.idle().await;
    client.shutdown().await.expect("loopback");
    assert_eq!(read_all(&mut server).await.expect("a FIN"), 0);
    Box::new((server, client))
}

async fn client_never_closes(scene: Scene) -> Held {
    let (mut server, mut client) = scene.idle().await;
    server.shutdown().await.expect("loopback");
    assert_eq!(read_all(&mut client).await.expect("a FIN"), 0);
    Box::new((server, client))
}

async fn idle(scene: Scene) -> Held {
    Box::new(scene.idle().await)
}

async fn a_request_is_not_answered(scene: Scene) -> Held {
    let (mut server, mut client) = scene.connect().await;
    exchange(&mut server, &mut client).await;
    client.write_all(REQUEST).await.expect("loopback");
    server.read_exact(&mut [0; REQUEST.len()]).await.expect("loopback");
    Box::new((server, client))
}
