//! How a connection begins: its handshake, and a SYN that comes too early for it.

use super::connection::{Opening, Roles};
use super::end::Asked;
use super::finding::SynAnswer;
use super::flow::Flow;
use crate::decode::Tcp;
use crate::transcript::Side;

impl Flow {
    /// Whether this segment opens another connection of the same ports.
    pub(super) fn is_another(&self, tcp: &Tcp<'_>, side: Side) -> bool {
        if !tcp.flags.syn {
            return false;
        }
        let half = self.half(side);
        if half.isn == Some(tcp.seq) {
            return false;
        }
        if tcp.ack.is_some() {
            // A SYN-ACK whose SYN was not captured.
            return self.is_over() && side == Side::Server;
        }
        // A first SYN of the other side while one is under way opens the same connection from both sides.
        let crosses = half.packets == 0 && self.handshake.syn && !self.handshake.complete;
        !crosses
    }

    /// Takes a SYN or SYN-ACK.
    pub(super) fn open(&mut self, tcp: &Tcp<'_>, side: Side) {
        self.roles = Roles::Handshake;
        if tcp.ack.is_none() && self.aborted.is_some() {
            // The client tries again after a refusal or a challenge.
            self.aborted = None;
        }
        if side == Side::Server {
            self.handshake.syn_ack = true;
            self.handshake.refused = false;
        } else {
            self.handshake.syn = true;
        }
        let half = self.half_mut(side);
        half.isn = Some(tcp.seq);
        half.mss = tcp.options.mss.or(half.mss);
        half.scale = tcp.options.window_scale;
        let (client, server) = (&mut self.client_half, &mut self.server_half);
        if self.handshake.syn_ack {
            // The server names a scale only if the client did.
            server.window.agree(server.scale, client.scale.or(server.scale));
            if client.isn.is_some() {
                client.window.agree(client.scale, server.scale);
            }
        }
    }

    /// Counts a SYN that waits for an answer.
    pub(super) fn ask_to_open(&mut self, tcp: &Tcp<'_>, side: Side, at: std::time::Duration) {
        if tcp.flags.syn {
            self.half_mut(side).ask(Asked::Syn, at);
        }
    }

    /// Whether a segment answers the client's SYN by an acknowledgement of something else.
    pub(super) fn is_challenge(&mut self, tcp: &Tcp<'_>, side: Side) -> bool {
        let waits = self.handshake.syn && !self.handshake.syn_ack && !tcp.flags.syn;
        if side == Side::Client || !waits {
            return false;
        }
        let expected = self.client_half.isn.map(|isn| isn.wrapping_add(1));
        let challenges = tcp.ack.is_some() && tcp.ack != expected;
        if challenges {
            self.handshake.challenged = true;
            self.answer_reused(SynAnswer::Challenge);
        }
        challenges
    }

    pub(super) fn answer_reused(&mut self, answer: SynAnswer) {
        if let Some(reused) = &mut self.reused {
            reused.answer = reused.answer.or(Some(answer));
        }
    }

    pub(super) fn opening(&self) -> Opening {
        let handshake = &self.handshake;
        let went_on = self.client_half.bytes > 0 || self.server_half.bytes > 0 || self.closed_first.is_some();
        if handshake.refused {
            Opening::Refused
        } else if handshake.syn_ack && (handshake.complete || went_on) {
            Opening::Complete
        } else if handshake.challenged {
            Opening::Challenged
        } else if handshake.syn && !self.is_two_sided() && !went_on {
            Opening::Unanswered
        } else if handshake.syn && went_on {
            Opening::Complete
        } else if handshake.syn || handshake.syn_ack {
            Opening::Incomplete
        } else {
            Opening::NotSeen
        }
    }
}
