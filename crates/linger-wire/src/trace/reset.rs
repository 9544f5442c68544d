//! A reset: what it follows on, and whether its sender goes on afterwards.

use std::time::Duration;

use super::end::{Asked, Cause, Sign};
use super::finding::SynAnswer;
use super::flow::{Flow, Shared};
use super::half::Asking;
use crate::decode::{Packet, Tcp};
use crate::segment::is_before;
use crate::transcript::{Part, Side};

/// The reset that ended a connection.
#[derive(Debug)]
pub(super) struct Aborted {
    pub(super) by: Side,
    pub(super) at: Duration,
    pub(super) cause: Cause,
    pub(super) while_sending: bool,
    pub(super) unread: u64,
    pub(super) signs: Vec<Sign>,
    /// What its sender had asked in vain.
    pub(super) waited: Option<Asking>,
    /// Whether it has the form of an answer to a segment (RFC 9293 §3.10.7.1): it acknowledges nothing.
    pub(super) answers: bool,
    /// What its sender had received, as far as it said.
    pub(super) received: Option<u32>,
    /// The sequence number after everything that its sender had sent, the reset included.
    next: Option<u32>,
    /// The same without the reset.
    sent: Option<u32>,
    /// Whether nothing but resets has followed.
    is_last: bool,
}

impl Flow {
    /// Takes a reset that this side sent, as it claims.
    pub(super) fn reset(&mut self, shared: &Shared, packet: &Packet<'_>, tcp: &Tcp<'_>, side: Side) {
        let at = packet.at;
        self.half_mut(side).resets += 1;
        self.show(shared, at, side, Part::Rst, false);
        let answers = tcp.ack.is_none();
        if let Some(aborted) = &mut self.aborted {
            let soon = aborted.is_last && at.saturating_sub(aborted.at) < MOMENT;
            if aborted.by != side && aborted.answers == answers && soon && aborted.cause != Cause::Refused {
                aborted.signs.push(Sign::BothSides);
                aborted.signs.dedup();
            }
            return;
        }
        if self.settled_at.is_some() {
            self.late_reset = self.late_reset.or(Some(side));
            return;
        }
        let aborted = self.judge(packet, tcp, side);
        if aborted.cause == Cause::Refused {
            self.handshake.refused = true;
            self.answer_reused(SynAnswer::Reset);
        }
        self.half_mut(side).window.end_zero(at);
        self.aborted = Some(Box::new(aborted));
    }

    fn judge(&self, packet: &Packet<'_>, tcp: &Tcp<'_>, side: Side) -> Aborted {
        let (half, other, at) = (self.half(side), self.half(side.other()), packet.at);
        let waited = half.asking.filter(|asking| asking.with == Asked::Keepalive || asking.count >= 2);
        let received = match (tcp.ack, other.acked) {
            (Some(ack), Some(acked)) if is_before(ack, acked) => Some(acked),
            (ack, acked) => ack.or(acked),
        };
        let answers = tcp.ack.is_none();
        let pending = other.acked.is_some_and(|acked| other.has_content_after(acked));
        let unread = if answers { 0 } else { self.unread(received, side) };
        let cause = if side == Side::Server && self.handshake.syn && !self.handshake.syn_ack {
            Cause::Refused
        } else if waited.is_some() {
            Cause::GaveUp
        } else if answers {
            Cause::AnswersLateSegment
        } else if half.fin.is_some() {
            Cause::AfterFin
        } else if unread > 0 || pending {
            Cause::UnreadData
        } else {
            Cause::Abort
        };
        Aborted {
            by: side,
            at,
            while_sending: pending || self.is_sending(side.other(), at, unread),
            unread,
            signs: self.signs(packet, tcp, side, cause),
            waited,
            answers,
            received,
            next: half.sequence.next().map(|next| if is_before(next, tcp.seq) { tcp.seq } else { next }),
            sent: half.sequence.next(),
            is_last: true,
            cause,
        }
    }

    /// How much this side had not read when it reset the connection, as far as the trace tells.
    fn unread(&self, received: Option<u32>, side: Side) -> u64 {
        let (half, other) = (self.half(side), self.half(side.other()));
        let (Some(received), Some(end)) = (received, other.end()) else { return 0 };
        let received = if is_before(end, received) { end } else { received };
        let since = |mark: u32| if is_before(mark, received) { received.wrapping_sub(mark) } else { 0 };
        // What only the reset acknowledges has come too late for an answer.
        let unacknowledged = other.acked.map_or(0, since);
        let unanswered = half.answered.map(since);
        let unread = match (half.window.unread(received), unanswered) {
            // So much shows in the window, in whole units, that it was not read although an early answer
            // followed.
            (Some(unread), Some(unanswered)) if unread >= unanswered + half.window.unit() => unread,
            (Some(unread), Some(unanswered)) => unread.min(unanswered),
            (Some(unread), None) => unread,
            (None, _) => 0,
        };
        // A server that read a request and closes sends a FIN: a reset tells that it has not read it all. A
        // client may well abort when it has what it wants.
        let request = side == Side::Server && self.last_records == Some(Side::Client);
        let visible = unread >= half.window.unit() || unacknowledged > 0;
        let unread = if visible { unread.max(unacknowledged) } else { 0 };
        let all = unanswered.unwrap_or_else(|| u32::try_from(other.bytes).unwrap_or(u32::MAX));
        let unread = if request && unread == 0 && all <= FIRST_WINDOW { all } else { unread };
        u64::from(unread).min(other.bytes)
    }

    /// Whether this side has more to send, although all that it sent so far was acknowledged. A request is
    /// complete when the answer comes, unless much of it was not read by then; an answer, when it ends what
    /// its application had written.
    fn is_sending(&self, side: Side, at: Duration, unread: u64) -> bool {
        let half = self.half(side);
        let recent = half.content_at.is_some_and(|sent| at.saturating_sub(sent) < RECENT);
        let complete = self.last_records != Some(side) || (side == Side::Server && half.content_pushed);
        let early = unread >= u64::from(self.half(side.other()).window.unit());
        recent && half.fin.is_none() && (early || !complete)
    }

    /// What does not fit in a reset.
    fn signs(&self, packet: &Packet<'_>, tcp: &Tcp<'_>, side: Side, cause: Cause) -> Vec<Sign> {
        let (half, other) = (self.half(side), self.half(side.other()));
        let mut signs = Vec::new();
        let challenged = self.handshake.challenged && !self.handshake.syn_ack;
        if challenged || cause == Cause::Refused || half.packets <= 1 || !self.is_two_sided() {
            return signs;
        }
        signs.extend(half.looks.ttl_sign(packet));
        signs.extend(half.looks.id_sign(packet));
        let answers = tcp.ack.is_none();
        if answers {
            // It repeats what the segment acknowledged, so that this is no more than was ever acknowledged.
            let beyond = half.acked.filter(|acked| is_before(*acked, tcp.seq));
            // If its sender spoke last, there is nothing that it could answer.
            let idle = self.last_speaker == Some(side) && half.acked == Some(tcp.seq);
            if beyond.is_some() || (idle && other.unacknowledged() == 0 && other.fin_at.is_none()) {
                signs.push(Sign::AnswersNothing);
            }
        } else {
            signs.extend(half.looks.timestamps_sign(tcp));
        }
        signs.extend(self.sequence_sign(tcp, side));
        if let Some(asked) = other.sent_at.filter(|_| other.unacknowledged() > 0) {
            signs.extend(half.looks.time_sign(packet.at.saturating_sub(asked)));
        }
        signs
    }

    fn sequence_sign(&self, tcp: &Tcp<'_>, side: Side) -> Option<Sign> {
        let half = self.half(side);
        let next = half.sequence.next()?;
        let off_by = i64::from(i32::from_ne_bytes(tcp.seq.wrapping_sub(next).to_ne_bytes()));
        // Segments before it that the trace lacks explain a number ahead: those that were lost are missing.
        let complete =
            half.acked == Some(next) && half.retransmissions == 0 && half.sequence.held().is_empty();
        let fits = if tcp.ack.is_none() {
            off_by <= 0 && off_by > -LARGEST_WINDOW
        } else {
            off_by == 0 || half.acked == Some(tcp.seq) || (off_by > 0 && off_by < LARGEST_WINDOW && !complete)
        };
        (!fits).then_some(Sign::Sequence { off_by })
    }

    /// Takes a segment after the reset: of its sender, as if there had been none, or of the other side.
    pub(super) fn go_on(&mut self, tcp: &Tcp<'_>, side: Side) {
        let Some(aborted) = &mut self.aborted else { return };
        aborted.is_last = false;
        let is_after = |mark: Option<u32>, number| mark.is_some_and(|mark| is_before(mark, number));
        if aborted.by == side {
            let end = tcp.seq.wrapping_add(tcp.length).wrapping_add(u32::from(tcp.flags.fin));
            let learnt = tcp.ack.is_some_and(|ack| is_after(aborted.received, ack));
            if is_after(aborted.next, end) || learnt {
                aborted.signs.push(Sign::GoesOn);
                aborted.signs.dedup();
            }
        } else if aborted.signs.contains(&Sign::GoesOn)
            && tcp.ack.is_some_and(|ack| is_after(aborted.sent, ack))
        {
            self.survive();
        }
    }

    /// Both sides go on: nobody took the reset for true.
    pub(super) fn survive(&mut self) {
        if let Some(aborted) = self.aborted.take() {
            self.survived.extend(aborted.signs);
        }
    }
}

impl Aborted {
    /// Whether the other side may not have sent it. Weak signs alone tell nothing.
    pub(super) fn is_strange(&self) -> bool {
        self.signs.iter().any(|sign| is_strong(*sign))
    }
}

/// Whether a sign alone makes a packet strange.
pub(super) fn is_strong(sign: Sign) -> bool {
    match sign {
        Sign::Ttl { .. } | Sign::Sequence { .. } | Sign::GoesOn | Sign::BothSides | Sign::AnswersNothing => {
            true
        }
        Sign::Id { .. } | Sign::TooSoon { .. } | Sign::NoTimestamps => false,
    }
}

/// Within this time, two resets do not follow on one another.
const MOMENT: Duration = Duration::from_millis(10);
/// A side that sent data so short a time before is still sending.
const RECENT: Duration = Duration::from_secs(1);
/// What Linux takes before its window tells whether an application reads.
const FIRST_WINDOW: u32 = 65_535;
/// RFC 7323 §2.3.
const LARGEST_WINDOW: i64 = 1 << 30;
