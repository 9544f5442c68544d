use std::iter::repeat_n;

use super::*;

const SECRET: [u8; 32] = [5; 32];

fn log() -> Secrets {
    let labels =
        [("CLIENT_RANDOM", 48), ("SERVER_HANDSHAKE_TRAFFIC_SECRET", 32), ("SERVER_TRAFFIC_SECRET_0", 32)];
    let hex = |byte: &str, length| repeat_n(byte, length).collect::<String>();
    let line = |(label, length)| format!("{label} {} {}\n", hex("09", 32), hex("05", length));
    Secrets::read(labels.map(line).concat().as_bytes()).expect("a key log")
}

fn keys(version: u16, suite: u16) -> Keys {
    let mut keys = Keys::find(&log(), &[9; 32]).expect("secrets of this session");
    keys.choose(&ServerHello { random: [7; 32], version: Some(version), suite });
    keys
}

fn tls13() -> (Keys, Suite) {
    (keys(TLS13, 0x1303), Suite::of(TLS13, 0x1303).expect("a known suite"))
}

/// A record passes, `after_gap` or not.
fn pass(keys: &mut Keys, kind: u8, record: &[u8], after_gap: bool) -> Option<Opened> {
    let length = u16::try_from(record.len()).expect("a short record");
    let is_wanted = keys.begin(Side::Server, kind, length, after_gap);
    keys.keep(Side::Server, record);
    if is_wanted { keys.open(Side::Server, kind) } else { None }
}

#[test]
fn the_keys_of_tls13_follow_on_each_other() {
    let (mut keys, suite) = tls13();
    let mut next = |record: &[u8], after_gap| pass(&mut keys, APPLICATION_DATA, record, after_gap);
    let handshake = suite.traffic_key(&SECRET).expect("a key");
    // A certificate and others that are too long to be opened.
    for _ in 0..3 {
        assert_eq!(next(&[0; 900], false), None);
    }
    assert_eq!(next(&handshake.seal(3, HANDSHAKE, &[FINISHED; 36]), false), Some(Opened::Finished));
    let data = suite.traffic_key(&SECRET).expect("a key");
    assert_eq!(next(&data.seal(0, APPLICATION_DATA, b"hi"), false), Some(Opened::Data));
    assert_eq!(next(&data.seal(1, HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 0]), false), Some(Opened::Handshake));
    let updated = suite.next_secret(&SECRET).expect("a secret");
    let data = suite.traffic_key(&updated).expect("a key");
    assert_eq!(next(&[0; 9000], false), None);
    assert_eq!(next(&data.seal(1, APPLICATION_DATA, b"x"), false), Some(Opened::Data));
    // 500 records and a key update are missing.
    let updated = suite.next_secret(&updated).expect("a secret");
    let data = suite.traffic_key(&updated).expect("a key");
    assert_eq!(next(&data.seal(500, ALERT, &[1, 0]), true), Some(Opened::Alert(0)));
    assert_eq!(next(&data.seal(501, ALERT, &[2, 10]), false), Some(Opened::Alert(10)));
}

#[test]
fn an_alert_is_found_behind_records_that_are_missing() {
    let (mut keys, suite) = tls13();
    let data = suite.traffic_key(&SECRET).expect("a key");
    for _ in 0..5 {
        pass(&mut keys, APPLICATION_DATA, &[0; 9000], false);
    }
    let alert = data.seal(4000, ALERT, &[1, 0]);
    assert_eq!(pass(&mut keys, APPLICATION_DATA, &alert, true), Some(Opened::Alert(0)));
}

#[test]
fn the_alerts_of_tls12_are_opened_with_every_cipher() {
    for suite in [0xc02f, 0xc030, 0xcca8, 0x009e, 0x009d] {
        let mut keys = keys(0x0303, suite);
        let known = Suite::of(0x0303, suite).expect("a known suite");
        let both = known.session_keys(&[5; 48], &[9; 32], &[7; 32]).expect("keys");
        let [_, server] = both;
        assert_eq!(pass(&mut keys, ALERT, &[1, 0], false), None, "it is in the clear");
        assert_eq!(pass(&mut keys, CHANGE_CIPHER_SPEC, &[1], false), None);
        assert_eq!(pass(&mut keys, HANDSHAKE, &[0; 40], false), None);
        assert_eq!(pass(&mut keys, APPLICATION_DATA, &[0; 30], false), None);
        let alert = server.seal(2, ALERT, &[2, 40]);
        assert_eq!(pass(&mut keys, ALERT, &alert, false), Some(Opened::Alert(40)), "{suite:x}");
    }
    let mut keys = keys(0x0303, 0xc027);
    pass(&mut keys, CHANGE_CIPHER_SPEC, &[1], false);
    assert_eq!(pass(&mut keys, ALERT, &[0; 64], false), None, "CBC is not decrypted");
}

#[test]
fn a_record_that_does_not_open_costs_a_bounded_time() {
    let (mut keys, _) = tls13();
    let mut wanted = 0;
    for _ in 0..100 {
        wanted += u32::from(keys.begin(Side::Server, APPLICATION_DATA, 19, true));
        keys.keep(Side::Server, &[0; 19]);
        assert_eq!(keys.open(Side::Server, APPLICATION_DATA), None);
    }
    assert!((1..10).contains(&wanted), "{wanted}");
    assert!(keys.server.record.capacity() <= 2 * RECORD_LIMIT);
}
