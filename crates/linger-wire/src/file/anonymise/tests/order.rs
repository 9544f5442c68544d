//! What stays of streams, in whatever order their segments come.

use super::{
    Anonymiser, Owned, SECRET, anonymised, client, head, payloads, record, segment, shows_secrets, syn, take,
    tcp,
};

const DATA: u8 = 23;
const ALERT: u8 = 21;

/// A stream of records, and what stays of it.
fn stream() -> (Vec<u8>, Vec<u8>) {
    let alert = [ALERT, 3, 3, 0, 2, 2, 40].to_vec();
    let secret = [record(DATA, 300), record(DATA, 3), record(DATA, 0), record(ALERT, 26), alert.clone()];
    let kept = [head(DATA, 300), head(DATA, 3), head(DATA, 0), head(ALERT, 26), alert];
    (secret.concat(), kept.concat())
}

/// The stream in segments of so many bytes, with the place of each.
fn cut(stream: &[u8], size: usize) -> Vec<Owned> {
    let segments = stream.chunks(size).enumerate();
    segments.map(|(index, bytes)| client(u32::try_from(1 + index * size).expect("short"), bytes)).collect()
}

#[test]
fn record_heads_stay_wherever_they_are_cut() {
    let (secret, kept) = stream();
    for size in 1..=secret.len() {
        let frames = [vec![syn()], cut(&secret, size)].concat();
        assert_eq!(payloads(&frames).concat(), kept, "in segments of {size} bytes");
    }
}

#[test]
fn segments_that_come_late_or_twice_change_nothing() {
    let (secret, kept) = stream();
    let segments = cut(&secret, 7);
    for late in 0..segments.len() {
        // It comes after the next 30.
        let mut frames = segments.clone();
        let moved = frames.remove(late);
        frames.insert((late + 30).min(frames.len()), moved);
        let result = anonymised([&syn()].into_iter().chain(&frames));
        assert_eq!(result.len(), frames.len() + 1);
        let mut stream = vec![0xee; kept.len()];
        for (before, after) in frames.iter().zip(&result[1..]) {
            assert_eq!((before.at, before.length), (after.at, after.length), "the order stays");
            let place = tcp(after).seq as usize - 1;
            stream[place..place + tcp(after).payload.len()].copy_from_slice(tcp(after).payload);
        }
        assert_eq!(stream, kept, "segment {late} late");
    }
    let twice: Vec<_> = segments.iter().flat_map(|segment| [segment.clone(), segment.clone()]).collect();
    let result = payloads(&[vec![syn()], twice].concat());
    let first: Vec<_> = result[1..].iter().step_by(2).flatten().copied().collect();
    assert_eq!(first, kept);
    assert!(result[1..].iter().skip(1).step_by(2).flatten().all(|byte| *byte == 0));
}

#[test]
fn bytes_that_were_lost_are_not_waited_for() {
    let (secret, _) = stream();
    let segments = cut(&secret, 100);
    let (mut anonymiser, mut result) = (Anonymiser::new(), Vec::new());
    let server = |seq, ack, flags| segment(false, seq, Some(ack), flags, b"");
    for frame in [&syn(), &server(0, 1, "S"), &segments[0], &segments[2]] {
        anonymiser.push(&frame.frame());
    }
    take(&mut anonymiser, &mut result);
    assert_eq!(result.len(), 3, "the last one waits for the one before it");
    // The server has the lost bytes.
    anonymiser.push(&server(1, 301, "").frame());
    take(&mut anonymiser, &mut result);
    assert_eq!(result.len(), 5);
}

#[test]
fn what_waits_is_bounded() {
    let (mut anonymiser, mut result) = (Anonymiser::with_limits(100, 100_000), Vec::new());
    anonymiser.push(&syn().frame());
    // A hole, and then others' packets.
    anonymiser.push(&client(10, &[SECRET; 10]).frame());
    let mut other = client(1, &vec![SECRET; 1000]);
    for number in 0..200_u16 {
        other.bytes[20..22].copy_from_slice(&number.to_be_bytes());
        anonymiser.push(&other.frame());
        take(&mut anonymiser, &mut result);
        let waiting = 3 + usize::from(number) - result.len();
        assert!(waiting * 1000 < 100_000, "{waiting} frames wait");
    }
    assert!(result.len() > 100, "{} frames came out", result.len());
    assert!(!result.iter().any(shows_secrets));
}

#[test]
fn cut_packets_keep_the_place_in_the_record() {
    let (secret, kept) = stream();
    // The capture keeps 60 bytes of the first segment, which ends within the first record.
    let first = client(1, &secret[..200]).cut(40 + 60);
    let frames = [syn(), first, client(201, &secret[200..])];
    let result = payloads(&frames);
    assert_eq!(result[1], kept[..60]);
    assert_eq!(result[2], kept[200..]);
    // If the cut hides a header, the next segment of whole records shows the place again.
    let whole = [record(DATA, 30), record(DATA, 40)].concat();
    let lost = client(1, &secret).cut(40 + 60);
    let next = client(u32::try_from(1 + secret.len()).expect("short"), &whole);
    let result = payloads(&[syn(), lost, next]);
    assert_eq!(result[2], [head(DATA, 30), head(DATA, 40)].concat());
}

#[test]
fn a_stream_that_was_begun_before_the_trace_keeps_heads_that_follow_one_another() {
    let (first, second) = (record(DATA, 3000), record(DATA, 2000));
    let (kept_first, kept_second) = (head(DATA, 3000), head(DATA, 2000));
    // No SYN. The second head is within the third segment.
    let kept = payloads(&cut(&[first, second].concat(), 1400)).concat();
    assert_eq!(kept, [kept_first, kept_second].concat());
}

#[test]
fn plain_streams_keep_the_status_and_nothing_else() {
    let response = [b"HTTP/1.1 503 ".to_vec(), vec![SECRET; 40]].concat();
    let server = |seq, payload: &[u8]| segment(false, seq, None, "", payload);
    let frames = [
        segment(false, 0, None, "S", b""),
        server(1, &response),
        server(54, &[SECRET; 20]),
        server(74, b"HTTP/1.0 200 \xa7"),
        server(88, b"HTTP/1.x 200 \xa7"),
        server(102, b"HTTP/1.1"),
        // What looks like a record in the middle of a plain stream is none.
        server(110, &record(DATA, 10)),
    ];
    let kept = payloads(&frames);
    assert_eq!(kept[1], [&b"HTTP/1.1 503"[..], &[0; 41]].concat());
    assert_eq!(kept[3], [&b"HTTP/1.0 200"[..], &[0; 2]].concat());
    for index in [2, 4, 5, 6] {
        assert!(kept[index].iter().all(|byte| *byte == 0), "{index}: {:x?}", kept[index]);
    }
}

#[test]
fn what_begins_like_a_header_and_is_none_does_not_become_one() {
    // The length is too large, which the third segment tells.
    let frames = [syn(), client(1, &[DATA, 3]), client(3, &[3]), client(4, &[0xff, 0xff, 1, 2, 3])];
    let kept = payloads(&frames).concat();
    assert_eq!(kept, [DATA, 3, 3, 0xff, 0xff, 0, 0, 0]);
}

#[test]
fn a_new_connection_of_the_same_ports_begins_anew() {
    let again = segment(true, 1000, None, "S", b"");
    let frames = [
        syn(),
        client(1, b"plain text"),
        again,
        client(1001, &record(DATA, 5)),
        segment(true, 1011, None, "F", &record(DATA, 1)),
    ];
    let kept = payloads(&frames);
    assert_eq!((&kept[3], &kept[4]), (&head(DATA, 5), &head(DATA, 1)));
}

#[test]
fn a_reset_is_no_part_of_the_stream() {
    let reset = segment(true, 1, None, "R", &record(DATA, 5));
    let kept = payloads(&[syn(), reset, client(1, &record(DATA, 5))]);
    assert_eq!((&kept[1], &kept[2]), (&vec![0; 10], &head(DATA, 5)));
}

#[test]
fn the_connections_that_were_used_last_are_remembered() {
    let mut anonymiser = Anonymiser::with_limits(10, 100_000);
    let mut result = Vec::new();
    let mut push = |frame: &Owned| {
        anonymiser.push(&frame.frame());
        take(&mut anonymiser, &mut result);
        assert!(anonymiser.flows.len() <= 10);
        tcp(result.last().expect("it came out")).payload.to_vec()
    };
    // A record goes on for as long as others come.
    push(&syn());
    push(&client(1, &record(DATA, 1000)[..5]));
    for number in 0..100_u8 {
        let mut other = syn();
        other.bytes[15] = number;
        push(&other);
        push(&client(6 + 10 * u32::from(number), &[SECRET; 10]));
    }
    assert_eq!(push(&client(1006, &record(DATA, 7))), head(DATA, 7));
}
