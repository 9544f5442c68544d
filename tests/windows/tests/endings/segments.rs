//! What is on the wire. The client's system captures it, so it has to be Linux, and the process has to be
//! allowed to.

use std::io::Write;

use linger_wire::{Capture, Part, Side, check_permission};

use crate::row::note;
use crate::server::{GET, Server, read_all};

#[test]
fn alert_and_fin_share_a_segment_on_linux_and_leave_in_order_elsewhere() {
    if let Err(error) = check_permission() {
        return eprintln!("not looked at: {error}");
    }
    let mut server = Server::start("tls");
    let port = server.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let capture = Capture::start(port).expect("permitted");
    let mut client = server.connect_tls();
    client.write_all(GET).expect("loopback");
    read_all(&mut client).expect("a close_notify before the FIN");
    drop(client);
    assert!(server.line().starts_with("Pdn"));

    let events = capture.finish().expect("packets can be read").events();
    let ending = events.iter().filter(|event| event.side == Side::Server).map(|event| &event.parts[..]);
    let is_end = |parts: &&[Part]| parts.iter().any(|part| matches!(part, Part::Alert(_) | Part::Fin));
    let ending: Vec<_> = ending.filter(is_end).collect();
    match ending[..] {
        [[.., Part::Alert(_), Part::Fin]] => assert!(server.is_for_linux),
        [[.., Part::Alert(_)], [Part::Fin]] => assert!(!server.is_for_linux),
        ref ending => panic!("{ending:?}"),
    }
    note("alert and FIN in one segment", server.is_for_linux);
}
