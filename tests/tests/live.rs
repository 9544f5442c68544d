//! What a live packet socket lets through, by packets that real sockets send and by packets made by hand.
//! Each test runs in a network namespace of its own.

#[cfg(target_os = "linux")]
mod live {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream};
    use std::time::{Duration, Instant, SystemTime};

    use linger_wire::live::{Filter, Reader, Socket};
    use socket2::{Domain, Protocol, Type};

    const PORT: u16 = 443;
    const OTHER: u16 = 8080;

    /// What was read: the bytes that were kept, and the length of the packet.
    type Read = (Vec<u8>, u32);

    fn open(filter: &Filter) -> Reader {
        Socket::open(filter).expect("root in this namespace").into_reader()
    }

    /// Reads until the last packet has come.
    fn read_until(reader: &mut Reader, is_last: impl Fn(&[u8]) -> bool) -> Vec<Read> {
        let end = Instant::now() + Duration::from_secs(20);
        let mut found = Vec::new();
        while !found.iter().any(|(bytes, _): &Read| is_last(bytes)) {
            assert!(Instant::now() < end, "the last packet does not come: {found:?}");
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
            for frame in reader.read().expect("reads") {
                assert!(now.abs_diff(frame.at) < Duration::from_secs(60), "{frame:?}");
                found.push((frame.bytes.to_vec(), frame.length));
            }
        }
        found
    }

    /// The sender's and the receiver's port of a packet without options.
    fn ports(bytes: &[u8]) -> (u16, u16) {
        let header = if bytes[0] >> 4 == 4 { 20 } else { 40 };
        let half = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        (half(header), half(header + 2))
    }

    /// Connects to a listener, exchanges a byte and `more` bytes, and closes.
    fn exchange(listener: &TcpListener, more: usize) {
        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
        let mut server = listener.accept().expect("accepts").0;
        client.write_all(b"?").expect("sends");
        server.read_exact(&mut [0]).expect("receives");
        server.write_all(&vec![b'!'; more]).expect("sends");
        drop(server);
        client.read_to_end(&mut Vec::new()).expect("receives");
    }

    pub(super) fn packets_of_its_ports_come_once_with_their_length() {
        let mut reader = open(&Filter::new(vec![25, PORT, 80]));
        for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
            let listen = |port| TcpListener::bind(SocketAddr::new(ip, port)).expect("the port is free");
            exchange(&listen(OTHER), 1);
            exchange(&listen(PORT), 10_000);
            let is_last = |bytes: &[u8]| ports(bytes).0 == PORT && bytes[flags_at(bytes)] & 1 == 1;
            let found = read_until(&mut reader, is_last);
            let is_watched = |(bytes, _): &Read| {
                let (from, to) = ports(bytes);
                from == PORT || to == PORT
            };
            assert!(found.iter().all(is_watched), "{found:?}");
            let syns = found.iter().filter(|(bytes, _)| bytes[flags_at(bytes)] == 2).count();
            assert_eq!(syns, 1, "loopback shows each packet twice: {found:?}");
            assert!(found.iter().all(|(bytes, _)| bytes.len() <= 256), "{found:?}");
            let long: u32 =
                found.iter().filter(|(bytes, _)| ports(bytes).0 == PORT).map(|(_, all)| all).sum();
            assert!(long > 10_000, "the length is that of the packet: {found:?}");
        }
    }

    /// Where TCP's flags are.
    fn flags_at(bytes: &[u8]) -> usize {
        if bytes[0] >> 4 == 4 { 33 } else { 53 }
    }

    /// A TCP header, as far as a filter looks at it.
    fn tcp(from: u16, to: u16) -> Vec<u8> {
        let mut header = [from.to_be_bytes(), to.to_be_bytes()].concat();
        header.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0, 0, 0, 0, 0, 0]);
        header
    }

    /// An IPv4 packet with `options` words of options, and this word of flags and fragment offset.
    fn v4(protocol: u8, options: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
        let [high, low] = fragment.to_be_bytes();
        let length = 20 + 4 * usize::from(options) + payload.len();
        let [long, short] = u16::try_from(length).expect("a short packet").to_be_bytes();
        let mut packet = vec![0x45 + options, 0, long, short, 0, 7, high, low, 64, protocol, 0, 0];
        packet.extend([127, 0, 0, 1, 127, 0, 0, 1]);
        packet.extend(vec![1; 4 * usize::from(options)]);
        packet.extend(payload);
        packet
    }

    fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
        let [long, short] = u16::try_from(payload.len()).expect("a short packet").to_be_bytes();
        let mut packet = vec![0x60, 0, 0, 0, long, short, next, 64];
        packet.extend(Ipv6Addr::LOCALHOST.octets());
        packet.extend(Ipv6Addr::LOCALHOST.octets());
        packet.extend(payload);
        packet
    }

    /// An ICMP or ICMPv6 message that quotes a packet.
    fn icmp(kind: u8, quoted: &[u8]) -> Vec<u8> {
        [&[kind, 1, 0, 0, 0, 0, 0, 0], quoted].concat()
    }

    /// Sends packets as they are, after one another, and returns those that come through. The last must.
    fn through(filter: &Filter, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut reader = open(filter);
        let raw = |domain| socket2::Socket::new(domain, Type::RAW, Some(Protocol::from(255))).expect("root");
        let (raw4, raw6) = (raw(Domain::IPV4), raw(Domain::IPV6));
        for packet in packets {
            let sent = match packet[0] >> 4 {
                4 => raw4.send_to(packet, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()),
                _ => raw6.send_to(packet, &SocketAddrV6::new(Ipv6Addr::LOCALHOST, 0, 0, 0).into()),
            };
            assert_eq!(sent.expect("loopback takes it"), packet.len());
        }
        // The kernel fills in the checksum of IPv4, and answers segments of no connection with a reset.
        let strip = |bytes: &[u8]| [&bytes[..10], &bytes[12..]].concat();
        let last = strip(packets.last().expect("a packet"));
        let found = read_until(&mut reader, |bytes| strip(bytes) == last);
        let sent: Vec<_> = packets.iter().map(|packet| strip(packet)).collect();
        found.into_iter().map(|(bytes, _)| strip(&bytes)).filter(|bytes| sent.contains(bytes)).collect()
    }

    /// Each packet with another port must be dropped, and with the watched port be kept.
    fn is_selected(make: impl Fn(u16) -> Vec<u8>) {
        let (wanted, other) = (make(PORT), make(OTHER));
        let found = through(&Filter::new(vec![PORT]), &[other, wanted]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    pub(super) fn headers_of_variable_length_are_followed() {
        for options in [0, 1, 10] {
            is_selected(|port| v4(6, options, 0, &tcp(9, port)));
            is_selected(|port| v4(6, options, 0, &tcp(port, 9)));
            for kind in [3, 4, 11, 12] {
                is_selected(|port| v4(1, 0, 0, &icmp(kind, &v4(6, options, 0, &tcp(9, port)))));
            }
        }
        is_selected(|port| v6(6, &tcp(9, port)));
        is_selected(|port| v6(6, &tcp(port, 9)));
        for kind in 1..=4 {
            is_selected(|port| v6(58, &icmp(kind, &v6(6, &tcp(9, port)))));
        }
        // Destination options of 8 and of 16 bytes, padded.
        is_selected(|port| v6(60, &[&[6, 0, 1, 4, 0, 0, 0, 0][..], &tcp(9, port)].concat()));
        let long = [6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        is_selected(|port| v6(60, &[&long[..], &tcp(9, port)].concat()));
    }

    pub(super) fn what_is_not_of_a_port_is_dropped() {
        let dropped = [
            // UDP.
            v4(17, 0, 0, &tcp(9, PORT)),
            v6(17, &tcp(9, PORT)),
            // A fragment that is not the first.
            v4(6, 0, 5, &tcp(9, PORT)),
            // An echo that carries something like a quoted segment, and an error about UDP.
            v4(1, 0, 0, &icmp(8, &v4(6, 0, 0, &tcp(9, PORT)))),
            v4(1, 0, 0, &icmp(3, &v4(17, 0, 0, &tcp(9, PORT)))),
            v6(58, &icmp(128, &v6(6, &tcp(9, PORT)))),
            // Two extension headers.
            v6(60, &[&[60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0][..], &tcp(9, PORT)].concat()),
        ];
        let first_fragment = v4(6, 0, 0x2000, &[&tcp(9, PORT)[..], &[0; 4]].concat());
        let packets = [&dropped[..], &[first_fragment]].concat();
        assert_eq!(through(&Filter::new(vec![PORT]), &packets).len(), 1);

        let all = [v4(17, 0, 0, &tcp(9, PORT)), v4(6, 0, 0, &tcp(1, 2)), v6(6, &tcp(3, 4))];
        assert_eq!(through(&Filter::new(Vec::new()), &all).len(), 2);
    }

    pub(super) fn as_many_ports_as_it_says_can_be_watched() {
        let most = u16::try_from(Filter::MOST_PORTS).expect("few");
        for port in [1, most / 2, most] {
            let filter = Filter::new((1..=most).collect());
            let found = through(&filter, &[v4(6, 0, 0, &tcp(9999, most + 1)), v4(6, 0, 0, &tcp(9999, port))]);
            assert_eq!(found.len(), 1, "{port}");
        }
        let refused = |filter: &Filter| Socket::open(filter).expect_err("out of bounds").to_string();
        assert!(refused(&Filter::new((0..=most).collect())).contains("ports: 101 are too many"));
        let short = Filter { bytes: 100, ..Filter::new(vec![PORT]) };
        assert!(refused(&short).contains("bytes: 100"));
    }

    pub(super) fn packets_that_do_not_fit_are_counted() {
        let mut reader = open(&Filter { queue_bytes: 1, ..Filter::new(vec![PORT]) });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).expect("the port is free");
        for _ in 0..100 {
            exchange(&listener, 1);
        }
        let read = reader.read().expect("reads").count();
        let dropped = reader.dropped().expect("counts");
        assert!(read > 0 && dropped > 300, "{read} read, {dropped} dropped");
        assert_eq!(reader.dropped().expect("counts"), dropped, "it counts since the socket was opened");
    }

    pub(super) fn an_interface_can_be_chosen() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).expect("the port is free");
        let mut loopback = open(&Filter { interface: Some(1), ..Filter::new(vec![PORT]) });
        let mut other = open(&Filter { interface: Some(2), ..Filter::new(vec![PORT]) });
        exchange(&listener, 1);
        assert!(loopback.read().expect("reads").count() > 0);
        assert_eq!(other.read().expect("reads").count(), 0);
    }
}

#[cfg(target_os = "linux")]
tower_linger_tests::wire_tests! {
    fn live::packets_of_its_ports_come_once_with_their_length;
    fn live::headers_of_variable_length_are_followed;
    fn live::what_is_not_of_a_port_is_dropped;
    fn live::as_many_ports_as_it_says_can_be_watched;
    fn live::packets_that_do_not_fit_are_counted;
    fn live::an_interface_can_be_chosen;
}

#[cfg(not(target_os = "linux"))]
fn main() {}
