//! What is noted of a connection that was given out before its `TIME_WAIT` was over.

use std::time::Duration;

/// It tells late packets from a new connection, and a SYN that the server's `TIME_WAIT` may refuse.
#[derive(Debug)]
pub(super) struct GivenOut {
    pub(super) client_is_low: bool,
    pub(super) ended_at: Duration,
    /// Whether the server holds `TIME_WAIT`.
    pub(super) holds: bool,
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::decode::{Flags, Options, Packet, Payload, Tcp};
    use crate::trace::{Analyser, Finding, Settings, Way};

    const SYN: Flags = Flags { syn: true, fin: false, rst: false, psh: false };
    const ACK: Flags = Flags { syn: false, ..SYN };
    const FIN: Flags = Flags { fin: true, ..ACK };
    const RST: Flags = Flags { rst: true, ..ACK };

    /// A segment of the client or of the server, from port 50000 to port 443.
    fn segment(millis: u64, is_client: bool, seq: u32, ack: Option<u32>, flags: Flags) -> Packet<'static> {
        let (client, server) = (Ipv4Addr::new(10, 0, 0, 1).into(), Ipv4Addr::new(10, 0, 0, 2).into());
        let (source, destination) = if is_client { (client, server) } else { (server, client) };
        let (source_port, destination_port) = if is_client { (50_000, 443) } else { (443, 50_000) };
        let options = Options::default();
        let tcp = Tcp {
            source_port,
            destination_port,
            seq,
            ack,
            flags,
            window: 1000,
            options,
            payload: &[],
            length: 0,
        };
        let at = Duration::from_millis(1_000_000 + millis);
        Packet { at, source, destination, ttl: 64, id: None, payload: Payload::Tcp(tcp) }
    }

    /// A connection that the server closes first.
    fn closed(analyser: &mut Analyser) -> Option<u64> {
        let segments = [
            segment(0, true, 100, None, SYN),
            segment(1, false, 500, Some(101), SYN),
            segment(2, true, 101, Some(501), ACK),
            segment(3, false, 501, Some(101), FIN),
            segment(4, true, 101, Some(502), FIN),
            segment(5, false, 502, Some(102), ACK),
        ];
        segments.iter().map(|segment| analyser.push(segment)).last().flatten()
    }

    fn live() -> Analyser {
        Analyser::new(Settings { held_back: Some(Duration::from_secs(3)), ..Settings::default() })
    }

    #[test]
    fn a_connection_is_given_out_when_it_is_no_longer_held_back() {
        let mut analyser = live();
        assert_eq!(closed(&mut analyser), Some(1));
        analyser.advance(Duration::from_secs(1002));
        assert!(analyser.next_ended().is_none());
        analyser.advance(Duration::from_millis(1_003_100));
        let connection = analyser.next_ended().expect("3 s have passed");
        assert_eq!((connection.number, connection.end.way), (1, Way::Normal));
        assert_eq!(analyser.open(), 0);

        // Late packets are no connection of their own, and do not bring it back.
        assert_eq!(analyser.push(&segment(4000, true, 101, Some(502), FIN)), None);
        assert_eq!(analyser.push(&segment(5000, true, 102, None, RST)), None);
        analyser.finish();
        assert!(analyser.next_ended().is_none());
    }

    #[test]
    fn a_port_in_time_wait_is_told_all_the_same() {
        for (later, expected) in [(30_000, true), (70_000, false)] {
            let mut analyser = live();
            closed(&mut analyser);
            // Answered by a challenge ACK, which the client resets.
            analyser.push(&segment(later, true, 50, None, SYN));
            analyser.push(&segment(later + 1, false, 502, Some(102), ACK));
            analyser.push(&segment(later + 1, true, 102, None, RST));
            analyser.finish();
            let found: Vec<_> = std::iter::from_fn(|| analyser.next_ended()).collect();
            assert_eq!(found.len(), 2);
            let is_told = |finding: &Finding| matches!(finding, Finding::PortInTimeWait { .. });
            assert_eq!(found[1].findings.iter().any(is_told), expected, "{:?}", found[1]);
        }
    }

    #[test]
    fn notes_do_not_outlive_time_wait() {
        let mut analyser = live();
        closed(&mut analyser);
        analyser.advance(Duration::from_secs(1070));
        assert!(analyser.next_ended().is_some());
        assert_eq!(
            analyser.push(&segment(70_000, true, 102, Some(502), ACK)),
            Some(2),
            "nothing is known of it"
        );
    }
}
