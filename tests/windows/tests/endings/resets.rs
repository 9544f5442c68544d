//! A reset reaches the client where the server means one.

use std::io::{ErrorKind, Read, Write};

use crate::row::note;
use crate::server::{GET, Server};

#[test]
fn an_abort_is_a_reset_and_not_an_end_of_file() {
    let mut server = Server::start("abort");
    let mut client = server.connect();
    client.write_all(GET).expect("loopback");
    let end = client.read(&mut [0; 64]).map_err(|error| error.kind());
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
    assert!(server.line().starts_with('A'));
    note("abort by a reset", true);
}

#[test]
fn a_response_that_its_connection_delimits_does_not_look_whole_when_it_was_cut() {
    let exchange = |server: &Server| {
        let mut client = server.connect();
        client.write_all(GET).expect("loopback");
        let mut answer = Vec::new();
        let end = client.read_to_end(&mut answer).map_err(|error| error.kind());
        assert!(answer.ends_with(b"half of it"), "{}", answer.escape_ascii());
        end.map(|_| ())
    };
    assert_eq!(exchange(&Server::start("cut_bare")), Ok(()), "without the layer it looks whole");
    let mut server = Server::start("cut");
    assert_eq!(exchange(&server), Err(ErrorKind::ConnectionReset));
    assert!(server.line().starts_with('A'));
    note("abort by a reset", true);
}
