//! Which packets the kernel lets through.

use std::io;

use nix::libc;
use socket2::SockFilter;

use super::direction::Seen;
use super::program::{
    A_TO_X, ADD, ADD_X, AND, IF_ANY_BIT, IF_AT_LEAST, IF_EQUAL, LOAD_BYTE, LOAD_BYTE_AT, LOAD_HALF,
    LOAD_HALF_AT, LOAD_HEADER_LENGTH, LOAD_WORD, Label, Program, RETURN, SET_X, SHIFT_LEFT, SHIFT_RIGHT,
    X_TO_A, metadata,
};
use Label::{
    Accept, AcceptV4, Extension, IcmpV6, Next, Options, Ports, QuotedV4, QuotedV6, Reject, V4, V6, Whole,
};

/// Which packets a [`Socket`](super::Socket) yields, and how much of them.
///
/// The kernel runs it as a BPF program, so that other packets cost almost nothing:
///
/// - TCP segments from or to one of the ports, over IPv4 or IPv6.
/// - ICMP and ICMPv6 errors that quote such a segment.
/// - Of an IPv4 or IPv6 packet in fragments the first one only: the others have no ports.
/// - IPv6 packets with at most one extension header (hop-by-hop options, routing, destination options or
///   fragment); packets with more are not seen, and neither are errors that quote a packet with any.
///
/// Loopback shows each packet when it leaves and when it arrives; only the first is kept. On other
/// interfaces both directions are kept. Packets for other hosts, which promiscuous interfaces see, are not.
/// A packet that this host forwards between interfaces is seen on each of them, unless
/// [`interface`](Self::interface) names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The ports, at most [`MOST_PORTS`](Self::MOST_PORTS). None means all of TCP.
    pub ports: Vec<u16>,
    /// The index of the only interface to listen on. By default all are.
    pub interface: Option<u32>,
    /// How many bytes of a packet are kept, from its IP header on, from
    /// [`LEAST_BYTES`](Self::LEAST_BYTES) to [`MOST_BYTES`](Self::MOST_BYTES).
    pub bytes: u32,
    /// How many bytes of packets may wait to be read, as the kernel counts them: it doubles the number, and
    /// counts at least 700 bytes for a short packet. Without `CAP_NET_ADMIN` it is limited to
    /// `net.core.rmem_max`.
    pub queue_bytes: usize,
}

impl Filter {
    /// The largest number of ports.
    pub const MOST_PORTS: usize = 100;
    /// The headers of IPv6 and TCP with all their options fit into this.
    pub const LEAST_BYTES: u32 = 128;
    /// The largest IP packet.
    pub const MOST_BYTES: u32 = 65_535;

    /// Packets of these ports on all interfaces, 256 bytes of each, and 32 MiB of queue.
    ///
    /// 256 bytes hold the headers, the beginning of an HTTP head, and the TLS records of short segments, such
    /// as alerts. The queue is for the 40 000 short packets that may come while a busy machine runs
    /// something else for 200 ms.
    #[must_use]
    pub fn new(ports: Vec<u16>) -> Self {
        Self { ports, interface: None, bytes: 256, queue_bytes: 32 << 20 }
    }

    /// # Errors
    /// If a number is out of bounds. The message names it.
    pub(crate) fn check(&self) -> io::Result<()> {
        let wrong = |what: String| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        if self.ports.len() > Self::MOST_PORTS {
            return wrong(format!(
                "ports: {} are too many, {} can be watched at once",
                self.ports.len(),
                Self::MOST_PORTS
            ));
        }
        if !(Self::LEAST_BYTES..=Self::MOST_BYTES).contains(&self.bytes) {
            return wrong(format!(
                "bytes: {} of each packet; use {} to {}",
                self.bytes,
                Self::LEAST_BYTES,
                Self::MOST_BYTES
            ));
        }
        Ok(())
    }

    /// The program. Offsets are from the IP header on.
    pub(crate) fn program(&self) -> io::Result<Vec<SockFilter>> {
        let mut program = Program::default();
        Seen::Once.begin(&mut program);
        if let Some(index) = self.interface {
            program.push(LOAD_WORD, metadata(libc::SKF_AD_IFINDEX)).jump(IF_EQUAL, index, Next, Reject);
        }
        upper_layer(&mut program);
        quoted(&mut program);
        program.at(Reject).push(RETURN, 0);
        self.ports(&mut program);
        self.keep(&mut program);
        program.finish()
    }

    /// Passes segments whose ports begin at X.
    fn ports(&self, program: &mut Program) {
        program.at(Ports);
        if self.ports.is_empty() {
            return;
        }
        for offset in [0, 2] {
            program.push(LOAD_HALF_AT, offset);
            for &port in &self.ports {
                program.jump(IF_EQUAL, port.into(), Accept, Next);
            }
        }
        program.push(RETURN, 0);
    }

    /// Keeps so many bytes that the length on the wire can be told: the IP header has it, unless it says 0,
    /// as in segments beyond 64 KiB that the network card cuts. Such a packet is kept whole, so that the
    /// kernel says how long it is.
    fn keep(&self, program: &mut Program) {
        program
            .at(Accept)
            .push(LOAD_BYTE, 0)
            .push(SHIFT_RIGHT, 4)
            .jump(IF_EQUAL, 6, Next, AcceptV4)
            .push(LOAD_HALF, 4)
            .jump(IF_EQUAL, 0, Whole, Next)
            .push(RETURN, self.bytes)
            .at(AcceptV4)
            .push(LOAD_HALF, 2)
            .jump(IF_EQUAL, 0, Whole, Next)
            .push(RETURN, self.bytes)
            .at(Whole)
            .push(RETURN, u32::MAX);
    }
}

/// Finds the header after the IP header and puts its offset into X. Goes on at `Ports` for TCP, and at
/// `QuotedV4` or `QuotedV6` for an ICMP error.
fn upper_layer(program: &mut Program) {
    program
        .push(LOAD_BYTE, 0)
        .push(SHIFT_RIGHT, 4)
        .jump(IF_EQUAL, 4, V4, Next)
        .jump(IF_EQUAL, 6, V6, Reject)
        .at(V4)
        // Other fragments than the first have no header of TCP.
        .push(LOAD_HALF, 6)
        .jump(IF_ANY_BIT, 0x1fff, Reject, Next)
        .push(LOAD_HEADER_LENGTH, 0)
        .push(LOAD_BYTE, 9)
        .jump(IF_EQUAL, TCP, Ports, Next)
        .jump(IF_EQUAL, ICMP, Next, Reject)
        .push(LOAD_BYTE_AT, 0)
        .jump(IF_EQUAL, 3, QuotedV4, Next) // destination unreachable
        .jump(IF_EQUAL, 4, QuotedV4, Next) // source quench
        .jump(IF_EQUAL, 11, QuotedV4, Next) // time exceeded
        .jump(IF_EQUAL, 12, QuotedV4, Reject) // parameter problem
        .at(V6)
        .push(SET_X, IPV6_HEADER)
        .push(LOAD_BYTE, 6)
        .jump(IF_EQUAL, TCP, Ports, Next)
        .jump(IF_EQUAL, ICMPV6, IcmpV6, Next);
    one_extension(program);
    program
        .jump(IF_EQUAL, TCP, Ports, Next)
        .jump(IF_EQUAL, ICMPV6, IcmpV6, Reject)
        .at(IcmpV6)
        .push(LOAD_BYTE_AT, 0)
        // 1 to 4 are errors: unreachable, too big, time exceeded, parameter problem.
        .jump(IF_AT_LEAST, 5, Reject, Next)
        .jump(IF_EQUAL, 0, Reject, QuotedV6);
}

/// Steps over one extension header of IPv6, whose number is in A. Leaves the number of the next header in A
/// and its offset in X.
fn one_extension(program: &mut Program) {
    program
        .jump(IF_EQUAL, FRAGMENT, Next, Extension)
        .push(LOAD_HALF, IPV6_HEADER + 2)
        .jump(IF_ANY_BIT, 0xfff8, Reject, Next)
        .push(SET_X, IPV6_HEADER + 8)
        .push(LOAD_BYTE, IPV6_HEADER)
        .jump(IF_EQUAL, TCP, Ports, Reject)
        .at(Extension)
        .jump(IF_EQUAL, HOP_BY_HOP, Options, Next)
        .jump(IF_EQUAL, ROUTING, Options, Next)
        .jump(IF_EQUAL, DESTINATION_OPTIONS, Options, Reject)
        .at(Options)
        // Its length is in units of 8 bytes, without the first 8.
        .push(LOAD_BYTE, IPV6_HEADER + 1)
        .push(SHIFT_LEFT, 3)
        .push(ADD, IPV6_HEADER + 8)
        .push(A_TO_X, 0)
        .push(LOAD_BYTE, IPV6_HEADER);
}

/// Lets X point to the segment that an ICMP error at X quotes. Goes on at `Ports`.
fn quoted(program: &mut Program) {
    program
        .at(QuotedV4)
        .push(LOAD_BYTE_AT, ICMP_HEADER + 9)
        .jump(IF_EQUAL, TCP, Next, Reject)
        .push(LOAD_BYTE_AT, ICMP_HEADER)
        .push(AND, 0xf)
        .push(SHIFT_LEFT, 2)
        .push(ADD, ICMP_HEADER)
        .push(ADD_X, 0)
        .push(A_TO_X, 0)
        .jump(IF_AT_LEAST, 0, Ports, Ports)
        .at(QuotedV6)
        .push(LOAD_BYTE_AT, ICMP_HEADER + 6)
        .jump(IF_EQUAL, TCP, Next, Reject)
        .push(X_TO_A, 0)
        .push(ADD, ICMP_HEADER + IPV6_HEADER)
        .push(A_TO_X, 0)
        .jump(IF_AT_LEAST, 0, Ports, Ports);
}

const TCP: u32 = 6;
const ICMP: u32 = 1;
const ICMPV6: u32 = 58;
const HOP_BY_HOP: u32 = 0;
const ROUTING: u32 = 43;
const FRAGMENT: u32 = 44;
const DESTINATION_OPTIONS: u32 = 60;
const IPV6_HEADER: u32 = 40;
/// Of ICMP and of ICMPv6.
const ICMP_HEADER: u32 = 8;
