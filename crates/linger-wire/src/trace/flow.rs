//! One connection, followed packet by packet.

use std::net::SocketAddr;
use std::time::Duration;

use super::connection::Roles;
use super::end::{Asked, Sign};
use super::finding::SynAnswer;
use super::half::Half;
use super::ladder::Ladder;
use super::reset::Aborted;
use super::unreachable::Errors;
use crate::decode::{Packet, Tcp};
use crate::tls::Session;
use crate::transcript::{Part, Side};

/// A connection that is followed.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) number: u64,
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
    pub(super) client_is_low: bool,
    pub(super) roles: Roles,
    pub(super) first_at: Duration,
    pub(super) last_at: Duration,
    pub(super) packets: u64,
    pub(super) goes_back: bool,
    pub(super) client_half: Half,
    pub(super) server_half: Half,
    pub(super) session: Session,
    pub(super) handshake: Handshake,
    /// The last connection of the same ports, if it was in `TIME_WAIT` when this one began.
    pub(super) reused: Option<Reused>,
    pub(super) closed_first: Option<Side>,
    pub(super) simultaneous: bool,
    /// What does not fit in the FINs.
    pub(super) fin_signs: Vec<Sign>,
    /// The sender of the last packet.
    pub(super) last_speaker: Option<Side>,
    pub(super) aborted: Option<Box<Aborted>>,
    /// What did not fit in a reset that the connection survived.
    pub(super) survived: Vec<Sign>,
    /// The sender of a reset that came after both FINs were acknowledged.
    pub(super) late_reset: Option<Side>,
    /// When both FINs were acknowledged.
    pub(super) settled_at: Option<Duration>,
    pub(super) errors: Option<Box<Errors>>,
    pub(super) healed: u64,
    pub(super) last_status: Option<u16>,
    /// The side whose data came last.
    pub(super) last_content: Option<Side>,
    /// The side whose data or handshake records came last.
    pub(super) last_records: Option<Side>,
    /// Whether the server had everything of the client when it last sent data.
    pub(super) quiet: bool,
    /// Whether what the client sends goes on with a request that the server has begun to answer.
    pub(super) goes_on: bool,
    pub(super) request: Option<Request>,
    pub(super) ladder: Ladder,
    /// How many bytes of memory it took when it ended.
    pub(super) kept: usize,
}

/// How far the handshake came.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
#[derive(Debug, Default)]
pub(super) struct Handshake {
    pub(super) syn: bool,
    pub(super) syn_ack: bool,
    pub(super) complete: bool,
    pub(super) refused: bool,
    pub(super) challenged: bool,
}

/// The last connection of the same ports, which ended a short time before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reused {
    pub(super) since: Duration,
    pub(super) answer: Option<SynAnswer>,
}

/// A request on a connection that had been idle.
#[derive(Debug)]
pub(super) struct Request {
    /// The sequence number of its first byte.
    pub(super) seq: u32,
    pub(super) bytes: u64,
    pub(super) idle: Duration,
    /// Whether it crossed the server's FIN.
    pub(super) crossed: bool,
}

/// What all flows share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) ladder_events: usize,
    /// Bytes that are held in all flows together until the holes before them are filled.
    pub(super) held: usize,
    /// A buffer for the parts of one segment, so that none is allocated for each.
    pub(super) parts: Vec<Part>,
}

impl Flow {
    pub(super) fn new(number: u64, client: SocketAddr, server: SocketAddr, at: Duration) -> Self {
        Self {
            number,
            client,
            server,
            client_is_low: false,
            roles: Roles::Guess,
            first_at: at,
            last_at: at,
            packets: 0,
            goes_back: false,
            client_half: Half::default(),
            server_half: Half::default(),
            session: Session::default(),
            handshake: Handshake::default(),
            reused: None,
            closed_first: None,
            simultaneous: false,
            fin_signs: Vec::new(),
            last_speaker: None,
            aborted: None,
            survived: Vec::new(),
            late_reset: None,
            settled_at: None,
            errors: None,
            healed: 0,
            last_status: None,
            last_content: None,
            last_records: None,
            goes_on: false,
            quiet: false,
            request: None,
            ladder: Ladder::default(),
            kept: 0,
        }
    }

    pub(super) fn half(&self, side: Side) -> &Half {
        match side {
            Side::Client => &self.client_half,
            Side::Server => &self.server_half,
        }
    }

    pub(super) fn half_mut(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Client => &mut self.client_half,
            Side::Server => &mut self.server_half,
        }
    }

    /// A half and the one of the other side.
    pub(super) fn halves(&mut self, side: Side) -> (&mut Half, &mut Half) {
        match side {
            Side::Client => (&mut self.client_half, &mut self.server_half),
            Side::Server => (&mut self.server_half, &mut self.client_half),
        }
    }

    /// Takes the next packet, which this side sent.
    pub(super) fn push(&mut self, shared: &mut Shared, packet: &Packet<'_>, tcp: &Tcp<'_>, side: Side) {
        self.count(packet.at);
        let half = self.half_mut(side);
        half.packets += 1;
        if half.recent.is_copy(packet, tcp) {
            return;
        }
        self.hear(tcp, side);
        if tcp.flags.rst {
            self.reset(shared, packet, tcp, side);
            return;
        }
        self.last_speaker = Some(side);
        if self.is_challenge(tcp, side) {
            self.half_mut(side).looks.observe(packet, tcp);
            return;
        }
        if tcp.flags.syn {
            self.open(tcp, side);
        } else if self.handshake.syn_ack && side == Side::Client {
            self.handshake.complete = true;
        }
        if self.aborted.is_some() {
            self.go_on(tcp, side);
        }
        if tcp.flags.fin && self.half(side).fin_at.is_none() {
            self.fin_signs.extend(self.half(side).looks.ttl_sign(packet));
        }
        self.half_mut(side).looks.observe(packet, tcp);
        if let Some(ack) = tcp.ack {
            self.acknowledge(shared, tcp, ack, side, packet.at);
        }
        self.take(shared, packet, tcp, side);
        if self.settled_at.is_none() {
            let both = self.client_half.fin_acked_at.zip(self.server_half.fin_acked_at);
            self.settled_at = both.map(|_| packet.at);
            if self.settled_at.is_some() {
                self.survive();
            }
        }
    }

    pub(super) fn count(&mut self, at: Duration) {
        self.packets += 1;
        self.goes_back |= self.last_at.saturating_sub(at) > CLOCK_SLACK;
        self.last_at = self.last_at.max(at);
    }

    /// This side lives: what the other side asked for it has not asked in vain.
    fn hear(&mut self, tcp: &Tcp<'_>, side: Side) {
        let asking = &mut self.half_mut(side.other()).asking;
        // A SYN that is sent again shows that the SYN-ACK did not arrive.
        let deaf =
            tcp.flags.syn && tcp.ack.is_none() && asking.is_some_and(|asking| asking.with == Asked::Syn);
        if !deaf {
            *asking = None;
        }
        if self.errors.as_ref().is_some_and(|errors| errors.error.about != side) {
            self.healed += self.errors.take().map_or(0, |errors| errors.error.count);
        }
    }

    /// The side that sent it acknowledges what the other sent, and announces a window.
    fn acknowledge(&mut self, shared: &mut Shared, tcp: &Tcp<'_>, ack: u32, side: Side, at: Duration) {
        let (half, other) = self.halves(side);
        if let Some(next) = other.sequence.next() {
            let ahead = ack.wrapping_sub(next);
            if ahead < 1 << 31 && ahead > PLAUSIBLE {
                return;
            }
        }
        if other.sequence.next() == Some(ack) {
            if let Some(sent) = other.sent_at.take() {
                half.looks.answer(at.saturating_sub(sent));
            }
        }
        half.window.announce(tcp.window, ack, tcp.flags.syn, at);
        if other.sequence.is_unseen(ack) {
            self.skip(shared, side.other(), ack, at);
        }
        self.half_mut(side.other()).acknowledge(ack, at);
    }

    /// Adds a part to the ladder.
    pub(super) fn show(&mut self, shared: &Shared, at: Duration, side: Side, part: Part, joins: bool) {
        self.ladder.push(shared.ladder_events, at, side, part, joins);
    }

    /// Whether it ended, and only late packets may follow.
    pub(super) fn is_over(&self) -> bool {
        self.settled_at.is_some() || self.aborted.is_some()
    }

    /// Whether packets of both sides were seen.
    pub(super) fn is_two_sided(&self) -> bool {
        self.client_half.packets > 0 && self.server_half.packets > 0
    }

    /// How many bytes of memory it takes, roughly.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>()
            + self.ladder.memory()
            + self.client_half.held_bytes()
            + self.server_half.held_bytes()
    }
}

/// Packets may be out of order by this much without a clock that goes back: several queues of a network card
/// deliver them, or a busy kernel notes the time of one and is interrupted before it hands it out.
const CLOCK_SLACK: Duration = Duration::from_millis(100);
/// More than the largest window (RFC 7323 §2.3): nobody acknowledges that much at once.
const PLAUSIBLE: u32 = 1 << 30;
