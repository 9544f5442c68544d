mod boundaries;

use super::record::{APPLICATION_DATA, CHANGE_CIPHER_SPEC};
use super::*;
use crate::trace::{Tls, TlsSide};

fn record(kind: u8, length: u16) -> Vec<u8> {
    record_with(kind, &vec![0; length.into()])
}

fn record_with(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("a short record").to_be_bytes();
    [&[kind, 3, 3], &length[..], body].concat()
}

fn server_hello() -> Vec<u8> {
    let body = [&[2, 0, 0, 46, 3, 3][..], &[9; 32], &[0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4]].concat();
    record_with(HANDSHAKE, &body)
}

fn client_hello() -> Vec<u8> {
    let name = [&[0, 14, 0, 0, 0, 10, 0, 8, 0, 0, 5][..], b"a.org"].concat();
    record_with(HANDSHAKE, &[&[1, 0, 0, 57, 3, 3][..], &[9; 32], &[0, 0, 2, 0x13, 1, 1, 0], &name].concat())
}

#[derive(Default)]
struct Both {
    session: Session,
    client: Scanner,
    server: Scanner,
}

impl Both {
    /// After a handshake of TLS 1.3.
    fn opened() -> Self {
        let mut both = Self::default();
        assert_eq!(both.client(&client_hello()), [Part::Handshake]);
        let flight = [server_hello(), record(CHANGE_CIPHER_SPEC, 1), record(APPLICATION_DATA, 900)].concat();
        assert_eq!(both.server(&flight), [Part::Handshake]);
        assert_eq!(both.client(&record(APPLICATION_DATA, 53)), [Part::Handshake]);
        both
    }

    fn feed(&mut self, side: Side, bytes: &[u8], missing: usize) -> Vec<Part> {
        let mut parts = Vec::new();
        let scanner = match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        };
        scanner.feed(side, &mut self.session, bytes, missing, &mut parts);
        parts
    }

    fn client(&mut self, bytes: &[u8]) -> Vec<Part> {
        self.feed(Side::Client, bytes, 0)
    }

    fn server(&mut self, bytes: &[u8]) -> Vec<Part> {
        self.feed(Side::Server, bytes, 0)
    }

    fn begins_in_the_middle() -> Self {
        let mut both = Self::default();
        both.client.lose(Side::Client, &mut both.session);
        both.server.lose(Side::Server, &mut both.session);
        both
    }

    fn facts(&self) -> Option<Tls> {
        self.session.facts(&self.client, &self.server)
    }

    fn tls(&self) -> Tls {
        self.facts().expect("TLS")
    }
}

#[test]
fn a_record_counts_where_its_header_is_complete() {
    let mut both = Both::default();
    let bytes = record(APPLICATION_DATA, 40);
    assert_eq!(both.client(&bytes[..3]), []);
    assert_eq!(both.client(&bytes[3..20]), [Part::Data(20)]);
    assert_eq!(both.client(&bytes[20..]), [Part::Data(25)]);
    assert_eq!(both.client(&bytes[..3]), []);
    assert_eq!(both.client.end(), 3);
}

#[test]
fn an_alert_in_the_clear_is_named() {
    let mut both = Both::default();
    assert_eq!(both.client(b"GET / HTTP/1.1\r\n\r\n"), [Part::Data(18)]);
    assert_eq!(both.server(&record_with(ALERT, &[2, 40])), [Part::Alert(Some(40))]);
    let expected = TlsSide { alerts: 1, last_alert: Some(40), ends_with_alert: true, ..TlsSide::default() };
    let tls = both.tls();
    assert_eq!((tls.client, tls.server), (TlsSide::default(), expected));
}

#[test]
fn an_encrypted_alert_is_one_without_a_name() {
    let mut both = Both::default();
    both.client(&client_hello());
    assert_eq!(both.client(&record(ALERT, 26)), [Part::Alert(None)]);
    let client = both.tls().client;
    assert_eq!((client.alerts, client.last_alert, client.ends_with_alert), (1, None, true));
}

#[test]
fn a_hidden_handshake_ends_with_the_clients_finished() {
    let mut both = Both::default();
    both.client(&client_hello());
    both.server(&server_hello());
    let data = record(APPLICATION_DATA, 100);
    assert_eq!(both.server(&data), [Part::Handshake]);
    let flight = [data.clone(), record(APPLICATION_DATA, 53), data.clone()].concat();
    assert_eq!(both.client(&flight), [Part::Handshake, Part::Data(105)]);
    assert_eq!(both.server(&data), [Part::Data(105)]);
}

#[test]
fn the_facts_of_a_session() {
    let mut both = Both::opened();
    let tls = both.tls();
    assert_eq!((tls.version, tls.server_name.as_deref()), (Some(0x0304), Some("a.org")));
    assert_eq!((tls.client, tls.server), Default::default());
    both.client(&record(APPLICATION_DATA, 100));
    both.server(&[record(APPLICATION_DATA, 300), record(APPLICATION_DATA, 19)].concat());
    let tls = both.tls();
    assert_eq!(tls.client, TlsSide { has_data: true, ..TlsSide::default() });
    let server = TlsSide { alerts: 1, ends_with_alert: true, ..tls.client };
    assert_eq!(tls.server, server);
    both.client(&record(APPLICATION_DATA, 100)[..50]);
    assert_eq!(both.client.end(), 0);
    assert!(both.tls().client.cut_in_record);
    both.server(&[23, 3]);
    assert_eq!(both.server.end(), 2);
    assert!(both.tls().server.cut_in_record);
    assert!(!both.tls().server.ends_with_alert);
}

#[test]
fn a_hello_cut_at_any_byte_gives_the_same_facts() {
    let hello = client_hello();
    for cut in 0..hello.len() {
        let mut both = Both::default();
        both.client(&hello[..cut]);
        both.client(&hello[cut..]);
        both.server(&server_hello()[..cut.min(50)]);
        both.server(&server_hello()[cut.min(50)..]);
        let tls = both.tls();
        assert_eq!((tls.version, tls.server_name.as_deref()), (Some(0x0304), Some("a.org")), "{cut}");
    }
}

#[test]
fn a_hello_in_two_records_is_read() {
    let mut both = Both::default();
    let hello = client_hello();
    let (first, second) = hello[HEADER..].split_at(20);
    both.client(&[record_with(HANDSHAKE, first), record_with(HANDSHAKE, second)].concat());
    assert_eq!(both.tls().server_name.as_deref(), Some("a.org"));
}

#[test]
fn a_hello_behind_an_alert_is_read() {
    let mut both = Both::default();
    both.client(&client_hello());
    let unrecognised_name = record_with(ALERT, &[1, 112]);
    let parts = both.server(&[unrecognised_name, server_hello()].concat());
    assert_eq!(parts, [Part::Alert(Some(112)), Part::Handshake]);
    let tls = both.tls();
    assert_eq!((tls.version, tls.server.last_alert), (Some(0x0304), Some(112)));
    assert!(!tls.server.ends_with_alert);
}

#[test]
fn a_hello_that_the_capture_cut_is_read_as_far_as_it_goes() {
    let mut both = Both::default();
    let hello = server_hello();
    assert_eq!(both.feed(Side::Server, &hello[..hello.len() - 6], 6), [Part::Handshake]);
    assert_eq!(both.tls().version, None, "its supported_versions were cut off");
    assert_eq!(both.server(&record(APPLICATION_DATA, 19)), [Part::Alert(None)]);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn a_plain_connection_costs_little() {
    assert!(size_of::<Scanner>() <= 80, "{}", size_of::<Scanner>());
    assert!(size_of::<Session>() <= 40, "{}", size_of::<Session>());
}

#[test]
fn hostile_bytes_break_nothing() {
    // A small generator: bytes of headers are frequent, so that records begin often.
    let mut state = 1_u32;
    let mut next = |bound: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % bound
    };
    for round in 0..2000 {
        let mut both = Both { session: session(round), ..Both::default() };
        for _ in 0..40 {
            let length = next(40) as usize;
            let mut bytes: Vec<u8> =
                (0..length).map(|_| [0, 1, 2, 3, 20, 21, 22, 23][next(8) as usize]).collect();
            if next(4) == 0 {
                bytes = [client_hello(), server_hello(), bytes][next(3) as usize].clone();
            }
            let side = if next(2) == 0 { Side::Client } else { Side::Server };
            let missing = if next(8) == 0 { next(40_000) as usize } else { 0 };
            let parts = both.feed(side, &bytes, missing);
            let data: usize = parts.iter().map(|part| if let Part::Data(n) = part { *n } else { 0 }).sum();
            assert!(data <= bytes.len() + missing + HEADER);
            if round >= KEYED && next(16) == 0 {
                both.client.lose(Side::Client, &mut both.session);
            }
        }
        let _ = both.facts();
    }
}

/// How many rounds have keys. They are few: each failed attempt to open a record takes time.
const KEYED: u32 = if cfg!(feature = "secrets") { 20 } else { 0 };

#[cfg(feature = "secrets")]
fn session(round: u32) -> Session {
    let line = format!("SERVER_TRAFFIC_SECRET_0 {} {}\n", "09".repeat(32), "05".repeat(32));
    let secrets = crate::secrets::Secrets::read(line.as_bytes()).expect("a key log");
    Session::new((round < KEYED).then(|| std::sync::Arc::new(secrets)))
}

#[cfg(not(feature = "secrets"))]
fn session(_: u32) -> Session {
    Session::default()
}
