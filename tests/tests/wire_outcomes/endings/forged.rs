//! Resets that neither side has sent.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::raw::{ACK, RST, Watch};
use super::scene::{Held, REQUEST, Scene, check_but, endings, read_all};

/// Signs are named where there are any. A reset in the form in which the side itself would have sent it has
/// none.
pub(crate) async fn each_reset_of_a_middlebox_has_its_signs() {
    let list = endings! {
        Both rejected_on_the_way() => ["reset by client (AnswersLateSegment, 0 unread, while sending)*"];
        Both rejected_and_the_client_goes_on() => ["middlebox by client*; sign: goes on*"];
        V4 of_another_ttl() => ["middlebox by client*; sign: TTL 52, not 64*"];
        V4 to_both_sides() => ["middlebox by *; sign: TTL 52, not 64*; sign: both sides*"];
        V4 without_effect() => ["normal by server*"];
    };
    // tshark takes the forged number for the client's own.
    check_but("forged", &list, &["*retransmissions of the client: tshark 2, we 0"]).await;
}

/// A firewall answers the server's data in the client's name. The client never knows.
async fn rejected_on_the_way(scene: Scene) -> Held {
    let (mut server, client) = scene.idle().await;
    scene.to_client("reject with tcp reset");
    server.write_all(&[b'z'; 3000]).await.expect("the kernel takes it");
    read_all(&mut server).await.expect_err("reset");
    Box::new(client)
}

/// The same with the server's FIN. Then the client sends a request, and the server's kernel knows of nothing.
async fn rejected_and_the_client_goes_on(scene: Scene) {
    let (mut server, mut client) = scene.idle().await;
    scene.to_client("reject with tcp reset");
    server.shutdown().await.expect("the kernel takes it");
    read_all(&mut server).await.expect_err("reset");
    scene.heal();
    client.write_all(REQUEST).await.expect("the kernel takes it");
    read_all(&mut client).await.expect_err("reset");
}

/// Resets the server in the client's name.
async fn of_another_ttl(scene: Scene) -> Held {
    let watch = Watch::start(scene.server);
    let (mut server, client) = scene.idle().await;
    let mut forged = watch.next().of_client();
    (forged.flags, forged.ttl) = (RST | ACK, 52);
    forged.send();
    read_all(&mut server).await.expect_err("reset");
    Box::new(client)
}

async fn to_both_sides(scene: Scene) {
    let watch = Watch::start(scene.server);
    let (mut server, mut client) = scene.idle().await;
    let next = watch.next();
    for mut forged in [next.of_client(), next.of_server()] {
        (forged.flags, forged.ttl) = (RST | ACK, 52);
        forged.send();
    }
    read_all(&mut server).await.expect_err("reset");
    read_all(&mut client).await.expect_err("reset");
}

/// RFC 5961 §3: a reset within the window, but not at its left edge, is answered by a challenge ACK.
async fn without_effect(scene: Scene) {
    let watch = Watch::start(scene.server);
    let (mut server, mut client): (TcpStream, TcpStream) = scene.idle().await;
    let mut forged = watch.next().of_client();
    forged.seq = forged.seq.wrapping_add(100);
    forged.flags = RST;
    forged.send();
    super::scene::exchange(&mut server, &mut client).await;
    drop(server);
    assert_eq!(client.read(&mut [0; 1]).await.expect("a FIN"), 0);
}
