//! The drain ends at each of its bounds.

use std::io::Write;

use crate::delivery::upload;
use crate::row::note;
use crate::server::{GET, Server, read_all};

#[test]
fn the_drain_ends_at_its_limit_of_bytes_and_not_one_byte_later() {
    let mut server = Server::start("few_bytes");
    assert!(upload(&mut server.connect(), 32 << 20).is_err(), "the server stopped reading");
    let report = server.line();
    assert!(report.starts_with("Bd-- drained=1048576 "), "{report}");
    note("drain bounds", true);
}

#[test]
fn the_drain_ends_when_the_client_is_silent() {
    let mut server = Server::start("short_silence");
    let mut client = server.connect();
    client.write_all(GET).expect("loopback");
    read_all(&mut client).expect("a FIN, and no reset");
    // The client stays open and silent.
    let report = server.line();
    assert!(report.starts_with("Id-- drained=0 "), "{report}");
    note("drain bounds", true);
}

#[test]
fn the_drain_ends_in_time_also_if_the_client_never_stops_sending() {
    let mut server = Server::start("short_drain");
    let mut client = server.connect();
    client.write_all(GET).expect("loopback");
    read_all(&mut client).expect("a FIN, and no reset");
    while client.write_all(&[0; 100]).is_ok() {}
    let report = server.line();
    assert!(report.starts_with("Td-- drained="), "{report}");
    assert!(!report.starts_with("Td-- drained=0 "), "{report}");
    note("drain bounds", true);
}
