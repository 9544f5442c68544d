//! The last response reaches every client, and over TLS the end after it is authentic.

use std::io::{self, Read, Write};

use tokio_rustls::rustls::{AlertDescription, Error};

use crate::row::note;
use crate::server::{GET, Server, read_all};

const UPLOAD: u64 = 32 << 20;
const TRIES: usize = 20;

#[test]
fn a_refusal_reaches_every_client_that_writes_its_whole_upload_first() {
    let is_delivered = |server: &Server| is_refusal(&upload(&mut server.connect(), UPLOAD));
    assert_all_succeed("layered", "bare", is_delivered);
    note("delivery of the last response", true);
}

#[test]
fn a_refusal_by_a_whole_server_reaches_every_client() {
    let is_delivered = |server: &Server| is_refusal(&upload(&mut server.connect(), UPLOAD));
    assert_all_succeed("whole", "bare", is_delivered);
    note("delivery of the last response", true);
}

#[test]
fn over_tls_a_refusal_reaches_every_client_and_its_end_is_authentic() {
    // Without a close_notify, reading to the end fails.
    let is_delivered = |server: &Server| is_refusal(&upload(&mut server.connect_tls(), UPLOAD));
    assert_all_succeed("tls", "tls_bare", is_delivered);
    note("delivery of the last response", true);
    note("TLS close_notify", true);
}

#[test]
fn the_alert_of_a_failed_handshake_reaches_every_client_that_goes_on_sending() {
    let is_alerted = |server: &Server| {
        upload(&mut server.connect_tls(), UPLOAD / 4).is_err_and(|error| {
            let tls = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
            tls == Some(&Error::AlertReceived(AlertDescription::CertificateRequired))
        })
    };
    assert_all_succeed("mutual_tls", "mutual_tls_bare", is_alerted);
    note("delivery of the last response", true);
}

#[test]
fn a_close_notify_comes_before_the_end_and_the_report_says_so() {
    let mut server = Server::start("tls");
    let mut client = server.connect_tls();
    client.write_all(GET).expect("loopback");
    let answer = read_all(&mut client).expect("a close_notify before the FIN");
    assert!(answer.ends_with("that is all"), "{answer}");
    drop(client);
    let report = server.line();
    assert!(report.starts_with("Pdn"), "{report}");
    note("TLS close_notify", true);
}

/// With the layer each of these exchanges succeeds; without it some fail, so the layer makes the difference.
#[track_caller]
fn assert_all_succeed(layered: &str, bare: &str, succeeds: impl Fn(&Server) -> bool) {
    let successes = |scene| {
        let server = Server::start(scene);
        (0..TRIES).filter(|_| succeeds(&server)).count()
    };
    assert!(successes(bare) < TRIES, "all succeed without the layer, so this shows nothing");
    assert_eq!(successes(layered), TRIES);
}

/// Uploads everything, then reads to the end. Gives up when a write fails, as most clients do.
pub(crate) fn upload(client: &mut (impl Read + Write), bytes: u64) -> io::Result<String> {
    write!(client, "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {bytes}\r\n\r\n")?;
    io::copy(&mut io::repeat(b'x').take(bytes), client)?;
    read_all(client)
}

fn is_refusal(answer: &io::Result<String>) -> bool {
    let whole = |answer: &String| answer.starts_with("HTTP/1.1 413") && answer.ends_with("that is all");
    answer.as_ref().is_ok_and(whole)
}
