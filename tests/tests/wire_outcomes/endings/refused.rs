//! Connections that never begin.

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::scene::{Held, Scene, check, endings};

/// RFC 9293 §3.10.7.1.
pub(crate) async fn each_refusal_is_named() {
    // One more SYN, after one second. The next would come two seconds later.
    for (name, value) in [("tcp_syn_retries", "1"), ("tcp_syn_linear_timeouts", "0")] {
        std::fs::write(format!("/proc/sys/net/ipv4/{name}"), value).expect("root");
    }
    let list = endings! {
        Both nobody_listens() => ["reset by server (Refused, 0 unread); refused"];
        Both a_firewall_refuses() => ["reset by server (Refused, 0 unread); refused"];
        // The recording ends with the last SYN.
        Both nobody_answers() => [
            "timeout by client (server silent: Syn); opening unanswered; doubt: ends open"
        ];
        Both the_queue_is_full() => ["normal by client", "normal by client"];
    };
    check("refused", &list).await;
}

async fn nobody_listens(scene: Scene) {
    TcpStream::connect(scene.server).await.expect_err("refused");
}

async fn a_firewall_refuses(scene: Scene) {
    let _listener = TcpListener::bind(scene.server).await.expect("the port is free");
    scene.to_server("reject with tcp reset");
    TcpStream::connect(scene.server).await.expect_err("refused");
}

async fn nobody_answers(scene: Scene) -> Held {
    let listener = TcpListener::bind(scene.server).await.expect("the port is free");
    scene.to_server("drop");
    TcpStream::connect(scene.server).await.expect_err("no answer");
    Box::new(listener)
}

/// A server that does not accept: the second SYN is dropped until it does.
async fn the_queue_is_full(scene: Scene) {
    let socket = if scene.server.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.expect("a socket");
    socket.set_reuseaddr(true).expect("TCP");
    socket.bind(scene.server).expect("the port is free");
    let listener = socket.listen(0).expect("listens");
    let first = TcpStream::connect(scene.server).await.expect("the queue takes one");
    let second = tokio::spawn(TcpStream::connect(scene.server));
    let dropped = || count("ListenOverflows");
    tower_linger_tests::until::until("the second SYN is dropped", || dropped() > 0).await;
    let mut servers = vec![listener.accept().await.expect("loopback").0];
    let second = second.await.expect("no panic").expect("the SYN is sent again");
    servers.push(listener.accept().await.expect("loopback").0);
    for (client, mut server) in [first, second].into_iter().zip(servers) {
        drop(client);
        assert_eq!(super::scene::read_all(&mut server).await.expect("a FIN"), 0);
    }
}

fn count(name: &str) -> i64 {
    tower_linger_tests::counters::Counters::read().get(&format!("TcpExt{name}"))
}
