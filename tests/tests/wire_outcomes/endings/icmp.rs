//! ICMP errors about a connection's segments.

use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::scene::{Held, Scene, check, endings, read_all};

/// RFC 1122 §4.2.3.9, RFC 4443 §3.
pub(crate) async fn each_icmp_error_is_named() {
    let list = endings! {
        V4 rejected("icmp type net-unreachable") => ["icmp* (NetworkUnreachable about server)"];
        V4 rejected("icmp type host-unreachable") => ["icmp* (HostUnreachable about server)"];
        V4 rejected("icmp type port-unreachable") => ["icmp* (PortUnreachable about server)"];
        V4 rejected("icmp type prot-unreachable") => ["icmp* (ProtocolUnreachable about server)"];
        V4 rejected("icmp type net-prohibited") => ["icmp* (Prohibited about server)"];
        V4 rejected("icmp type host-prohibited") => ["icmp* (Prohibited about server)"];
        V4 rejected("icmp type admin-prohibited") => ["icmp* (Prohibited about server)"];
        V6 rejected("icmpv6 type no-route") => ["icmp* (NetworkUnreachable about server)"];
        V6 rejected("icmpv6 type admin-prohibited") => ["icmp* (Prohibited about server)"];
        V6 rejected("icmpv6 type addr-unreachable") => ["icmp* (HostUnreachable about server)"];
        V6 rejected("icmpv6 type port-unreachable") => ["icmp* (PortUnreachable about server)"];
        V6 rejected("icmpv6 type policy-fail") => ["icmp* (Prohibited about server)"];
        V6 rejected("icmpv6 type reject-route") => ["icmp* (Prohibited about server)"];
        Both healed() => ["normal by server; IcmpHealed"];
        Both rejected_at_its_beginning() => ["icmp* (Prohibited about client); opening unanswered"];
    };
    check("icmp", &list).await;
}

/// Until the kernel gives up.
async fn rejected(scene: Scene, with: &str) -> Held {
    let (mut server, client) = scene.idle().await;
    SockRef::from(&server).set_tcp_user_timeout(Some(Duration::from_millis(700))).expect("Linux has it");
    scene.to_client(&format!("reject with {with}"));
    server.write_all(&[b'i'; 10_000]).await.expect("the kernel takes it");
    read_all(&mut server).await.expect_err("unreachable");
    Box::new(client)
}

async fn healed(scene: Scene) {
    let (mut server, mut client) = scene.idle().await;
    scene.to_client("reject with icmpx type host-unreachable");
    server.write_all(&[b'i'; 10_000]).await.expect("the kernel takes it");
    scene.heal();
    client.read_exact(&mut [0; 10_000]).await.expect("healed");
    drop(server);
    assert_eq!(read_all(&mut client).await.expect("a FIN"), 0);
}

/// The client's kernel gives up at once (RFC 1122 §4.2.3.9, where the error says so).
async fn rejected_at_its_beginning(scene: Scene) {
    let _listener = tokio::net::TcpListener::bind(scene.server).await.expect("the port is free");
    scene.to_server("reject with icmpx type admin-prohibited");
    tokio::net::TcpStream::connect(scene.server).await.expect_err("prohibited");
}
