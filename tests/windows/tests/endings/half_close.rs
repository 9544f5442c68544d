//! Each side may end its own direction first, and the other one goes on.

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpStream};

use crate::row::note;
use crate::server::{GET, Server, read_all};

fn gets_an_answer_and_the_fin(server: &Server) -> TcpStream {
    let mut client = server.connect();
    client.write_all(GET).expect("loopback");
    let answer = read_all(&mut client).expect("a FIN, and no reset");
    assert!(answer.ends_with("that is all"), "{answer}");
    client
}

#[test]
fn after_the_servers_fin_the_client_still_sends_what_it_has_and_is_not_reset() {
    let mut server = Server::start("layered");
    let mut client = gets_an_answer_and_the_fin(&server);
    for _ in 0..10 {
        client.write_all(&[0; 100]).expect("the server goes on reading");
    }
    client.shutdown(Shutdown::Write).expect("no reset came");
    let report = server.line();
    assert!(report.starts_with("Pd-- drained=1000 "), "{report}");
    note("half-close", true);
}

#[test]
fn without_the_layer_a_client_that_still_sends_is_reset() {
    let server = Server::start("bare");
    let mut client = gets_an_answer_and_the_fin(&server);
    // A write that nobody reads waits at the end, and the server's socket is closed by then.
    let failure = loop {
        if let Err(failure) = client.write_all(&[0; 100]) {
            break failure.kind();
        }
    };
    assert!(!matches!(failure, ErrorKind::WouldBlock | ErrorKind::TimedOut), "nothing came: {failure:?}");
}

#[test]
fn a_client_that_half_closes_after_its_request_gets_the_response() {
    let mut server = Server::start("whole");
    let mut client = server.connect();
    client.write_all(GET).expect("loopback");
    client.shutdown(Shutdown::Write).expect("connected");
    let answer = read_all(&mut client).expect("a FIN, and no reset");
    assert!(answer.ends_with("that is all"), "{answer}");
    assert!(server.line().starts_with('P'));
    note("half-close", true);
}
