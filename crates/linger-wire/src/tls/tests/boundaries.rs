//! Where the boundaries of records are not known: gaps, cuts, plain data before, the middle of a stream.

use super::*;

#[test]
fn records_are_found_in_the_middle_of_a_stream() {
    // A segment ends anywhere in records of 1000 bytes.
    let stream = record(APPLICATION_DATA, 1000).repeat(20);
    let mut both = Both::begins_in_the_middle();
    for segment in stream[333..].chunks(1448) {
        both.server(segment);
    }
    assert_eq!(both.facts(), None, "no segment begins with a header");
    for segment in stream.chunks(1448) {
        both.server(segment);
    }
    assert_eq!(both.server(&record(APPLICATION_DATA, 19)), [Part::Alert(None)]);
    let server = TlsSide { has_data: true, alerts: 1, ends_with_alert: true, ..TlsSide::default() };
    assert_eq!(both.tls().server, server);
    assert_eq!(both.tls().version, None);
}

#[test]
fn a_record_that_is_cut_between_others_is_data() {
    // As with tcpdump's -s 90, which leaves some 20 bytes of each payload.
    let mut both = Both::begins_in_the_middle();
    let request = record(APPLICATION_DATA, 400);
    assert_eq!(both.feed(Side::Client, &request[..20], 385), [Part::Data(405)]);
    assert_eq!(both.feed(Side::Client, &record(ALERT, 26)[..20], 11), [Part::Alert(None)]);
    let client = both.tls().client;
    assert!(client.has_data && client.ends_with_alert, "{client:?}");
}

#[test]
fn two_lonely_alerts_in_the_middle_are_tls() {
    let mut both = Both::begins_in_the_middle();
    assert_eq!(both.client(&record(APPLICATION_DATA, 19)), [Part::Alert(None)]);
    assert_eq!(both.facts(), None, "one record may be chance");
    both.server(&record(ALERT, 26));
    let tls = both.tls();
    assert!(tls.client.ends_with_alert && tls.server.ends_with_alert);
}

#[test]
fn plain_data_that_looks_like_a_record_is_none() {
    let mut both = Both::default();
    // The header of a record of 20 bytes, and no header after it.
    let bytes = [record(APPLICATION_DATA, 20), vec![b'x'; 30]].concat();
    both.client(&bytes);
    assert_eq!(both.client(b"more"), [Part::Data(4)]);
    both.server(b"HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(both.facts(), None);
}

#[test]
fn a_session_may_begin_after_plain_data() {
    let mut both = Both::default();
    both.client(b"CONNECT a.org:443 HTTP/1.1\r\n\r\n");
    both.server(b"HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(both.facts(), None);
    assert_eq!(both.client(&client_hello()), [Part::Handshake]);
    both.server(&[server_hello(), record(APPLICATION_DATA, 900)].concat());
    both.client(&record(APPLICATION_DATA, 53));
    assert_eq!(both.server(&record(APPLICATION_DATA, 19)), [Part::Alert(None)]);
    let tls = both.tls();
    assert_eq!((tls.version, tls.server_name.as_deref()), (Some(0x0304), Some("a.org")));
    assert!(tls.server.ends_with_alert);
}

#[test]
fn a_session_may_begin_after_the_header_of_a_proxy() {
    let second = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", &[7; 12][..]].concat();
    for header in [&b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n"[..], &second] {
        let mut both = Both::default();
        let parts = both.client(&[header, &client_hello()].concat());
        assert_eq!(parts, [Part::Data(header.len()), Part::Handshake]);
        both = Both::default();
        assert_eq!(both.client(header), [Part::Data(header.len())]);
        assert_eq!(both.client(&client_hello()), [Part::Handshake]);
    }
    assert_eq!(Both::default().client(&second[..20]), [Part::Data(20)]);
}

#[test]
fn a_server_without_its_clients_packets_sends_data() {
    let mut both = Both::default();
    both.client.lose(Side::Client, &mut both.session);
    both.server(&[server_hello(), record(APPLICATION_DATA, 900)].concat());
    both.client.lose(Side::Client, &mut both.session);
    assert_eq!(both.server(&record(APPLICATION_DATA, 100)), [Part::Data(105)]);
    assert!(both.tls().server.has_data && both.tls().client.lost);
}

#[test]
fn records_are_found_again_after_a_cut() {
    let mut both = Both::opened();
    let mut upload = record(APPLICATION_DATA, 200);
    upload.truncate(50);
    assert_eq!(both.feed(Side::Client, &upload, 1000), [Part::Data(1050)]);
    assert!(both.tls().client.lost);
    assert_eq!(both.client(&[0; 30]), [Part::Data(30)]);
    assert_eq!(both.client(&record(APPLICATION_DATA, 19)), [Part::Alert(None)]);
    assert!(!both.tls().client.lost);
    assert!(both.tls().client.ends_with_alert);
}
