//! What may happen next, in each state.

use std::time::{Duration, Instant};

use linger_proto::{CutShownBy, Event, Requests};
use stateright::{Model, Property};

use super::close::{Close, Fault};
use super::configurations::{Configuration, May};
use super::connection::{Cause, End, Life, WINDOW};
use super::properties::{self, Counts};
use super::seen::{Seen, Steps, steps};

/// The clock's step. Each time of each configuration is a multiple of it.
pub(crate) const STEP: Duration = Duration::from_millis(50);

/// One configuration, with or without a fault.
#[derive(Debug)]
pub(crate) struct CloseModel {
    pub(crate) configuration: Configuration,
    pub(crate) fault: Option<Fault>,
    /// In how many states each property had something to say.
    pub(crate) counts: Counts,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) now: Steps,
    pub(crate) close: Close,
    pub(crate) server: End,
    /// How many bytes have to be there to wake the driver.
    pub(crate) low_water: u32,
    /// The server's TLS session refuses to write.
    pub(crate) is_broken: bool,
    pub(crate) peer: End,
    pub(crate) client: Client,
    pub(crate) seen: Seen,
}

/// The peer above its socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    /// It has read the response's end: `close_notify`, or the FIN.
    pub(crate) saw_end: bool,
    pub(crate) saw_fin: bool,
    /// It closed before that.
    pub(crate) gave_up: bool,
    /// Which of its units is its `close_notify`.
    pub(crate) notified_at: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The driver goes on.
    Drive,
    /// 50 ms pass.
    TimePasses,
    /// What has this number arrives at the peer, or at the server, for the first time or again.
    ReachesPeer(u8),
    ReachesServer(u8),
    /// The server hears that the peer has all that it has.
    IsAcknowledged,
    /// A reset that the other end has sent arrives.
    ResetReachesPeer,
    ResetReachesServer,
    /// A reset that none of the two has sent.
    ForgedResetReachesPeer,
    ServerIsTold(Cause),
    PeerSends,
    PeerReads,
    PeerNotifies,
    PeerHalfCloses,
    PeerCloses,
    SessionBreaks,
    Evicted,
    Abandoned,
    ShutsDown,
}

impl Model for CloseModel {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![self.configuration.begin(self.fault)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        let configuration = &self.configuration;
        if state.seen.end.is_none() {
            configuration.servers_steps(state, actions);
        } else if configuration.is_decided(state) {
            return;
        }
        configuration.networks_steps(state, actions);
        configuration.peers_steps(state, actions);
        let waits = state.seen.end.is_none() && !configuration.is_ready(state);
        if waits && !(configuration.may(May::BePrompt) && configuration.has_more_to_do(state)) {
            actions.push(Step::TimePasses);
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        self.configuration.take(step, &mut state);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::of(&self.configuration)
    }

    /// A close that never ends is caught one step after its deadline.
    fn within_boundary(&self, state: &State) -> bool {
        state.now <= self.configuration.deadline(state) + 1
    }
}

impl Configuration {
    /// The clock after so many steps.
    pub(crate) fn instant(&self, now: Steps) -> Instant {
        self.began + STEP * u32::from(now)
    }

    /// When the close must be over, as far as is known now.
    pub(crate) fn deadline(&self, state: &State) -> Steps {
        let longest = steps(self.policy.longest());
        state.seen.shutdown_by.map_or(longest, |by| longest.min(by))
    }

    /// Prompt peers and networks leave nothing lying that leads to the peer's next byte.
    fn has_more_to_do(&self, state: &State) -> bool {
        let State { peer, server, .. } = state;
        let mut steps = Vec::new();
        self.peers_steps(state, &mut steps);
        let arriving =
            (0..peer.numbers()).any(|number| server.may_arrive(peer, number) && !server.has(number));
        steps.iter().any(|step| matches!(step, Step::PeerSends | Step::PeerReads)) || arriving
    }

    /// The socket is released, and nothing can happen any more that a property judges.
    fn is_decided(&self, state: &State) -> bool {
        let may_lose = properties::may_lose_nothing(state) || self.is_close_delimited;
        state.peer.life != Life::Open || !may_lose
    }

    fn servers_steps(&self, state: &State, steps: &mut Vec<Step>) {
        if self.is_ready(state) {
            // A driver does what it can before it looks at what was decided about its close.
            steps.push(Step::Drive);
        } else {
            self.decisions(state, steps);
        }
        let writes = !state.server.fin && state.server.sent < self.response;
        if self.may(May::BreakTheSession) && writes && !state.is_broken {
            steps.push(Step::SessionBreaks);
        }
    }

    fn decisions(&self, state: &State, steps: &mut Vec<Step>) {
        if self.may(May::Evict) {
            steps.push(Step::Evicted);
        }
        if self.may(May::Abandon) {
            steps.push(Step::Abandoned);
        }
        if self.may(May::ShutDown) && state.seen.shutdown_by.is_none() {
            steps.push(Step::ShutsDown);
        }
    }

    fn networks_steps(&self, state: &State, steps: &mut Vec<Step>) {
        let State { server, peer, .. } = state;
        for number in (0..server.numbers()).filter(|number| peer.may_arrive(server, *number)) {
            steps.push(Step::ReachesPeer(number));
        }
        for number in (0..peer.numbers()).filter(|number| server.may_arrive(peer, *number)) {
            steps.push(Step::ReachesServer(number));
        }
        // After the FIN, only an early release asks for it.
        let is_known = self.start.requests != Requests::Unknown;
        let matters = !server.fin || self.policy.early_release().is_some() || is_known;
        if server.acked < peer.in_order() && server.life == Life::Open && matters {
            steps.push(Step::IsAcknowledged);
        }
        if server.resets {
            steps.push(Step::ResetReachesPeer);
        }
        if peer.resets && server.life != Life::Gone {
            steps.push(Step::ResetReachesServer);
        }
        if self.may(May::ForgeResets) && state.seen.end.is_none() {
            steps.push(Step::ForgedResetReachesPeer);
        }
        let told = [
            (May::ForgeResets, Cause::Reset),
            (May::SendIcmp, Cause::Unreachable),
            (May::TimeOut, Cause::TimedOut),
            (May::DestroyTheSocket, Cause::Destroyed),
        ];
        for (_, cause) in told.into_iter().filter(|(may, _)| self.may(*may)) {
            if state.seen.end.is_none() && server.life == Life::Open {
                steps.push(Step::ServerIsTold(cause));
            }
        }
    }

    fn peers_steps(&self, state: &State, steps: &mut Vec<Step>) {
        let State { server, peer, client, .. } = state;
        if peer.life != Life::Open {
            return;
        }
        let has_room = !peer.fin && peer.sent < server.read + WINDOW;
        let may_send = client.notified_at.is_none() || self.may(May::SendAfterNotify);
        if has_room && peer.sent < self.upload && may_send {
            steps.push(Step::PeerSends);
        }
        if !client.saw_fin && (peer.unread(server) > 0 || peer.at_fin(server)) {
            steps.push(Step::PeerReads);
        }
        if self.may(May::SendNotify) && has_room && client.notified_at.is_none() {
            steps.push(Step::PeerNotifies);
        }
        if self.may(May::HalfClose) && !peer.fin {
            steps.push(Step::PeerHalfCloses);
        }
        if client.saw_end || self.may(May::GiveUp) {
            steps.push(Step::PeerCloses);
        }
    }

    fn take(&self, step: Step, state: &mut State) {
        let now = self.instant(state.now);
        let State { server, peer, client, .. } = state;
        match step {
            Step::Drive => self.drive(state),
            Step::TimePasses => state.now += 1,
            Step::ReachesPeer(number) => peer.arrive(server, number),
            Step::ReachesServer(number) => {
                let before = server.in_order();
                server.arrive(peer, number);
                if server.in_order() > before && state.seen.fin_at.is_some() {
                    state.seen.arrived_at = state.now;
                }
            }
            Step::IsAcknowledged => {
                server.acked = peer.in_order();
                if self.is_cut_by(CutShownBy::LateReset) {
                    state.seen.acked_at = state.now;
                }
            }
            Step::ResetReachesPeer => peer.end(Cause::Reset),
            Step::ResetReachesServer => server.end(Cause::Reset),
            Step::ForgedResetReachesPeer => {
                peer.end(Cause::Reset);
                state.seen.ended_by_others = true;
            }
            Step::ServerIsTold(cause) => {
                server.end(cause);
                state.seen.ended_by_others = true;
            }
            Step::PeerSends => peer.sent += 1,
            Step::PeerReads => {
                client.saw_fin = peer.at_fin(server);
                if !client.saw_fin {
                    peer.read += 1;
                }
                client.saw_end = client.saw_fin || peer.read > self.response;
            }
            Step::PeerNotifies => {
                client.notified_at = Some(peer.sent);
                peer.sent += 1;
            }
            Step::PeerHalfCloses => peer.fin = true,
            Step::PeerCloses => {
                client.gave_up = !client.saw_end;
                peer.close(server);
            }
            Step::SessionBreaks => state.is_broken = true,
            Step::Evicted => {
                state.seen.ended_by_others = true;
                self.tell(Event::Evicted, state);
            }
            Step::Abandoned => {
                state.seen.ended_by_others = true;
                // The driver does once what it can do without waiting.
                while self.is_ready(state) && state.seen.end.is_none() {
                    self.drive(state);
                }
                self.tell(Event::Abandoned, state);
            }
            Step::ShutsDown => {
                let grace = if self.start.cut.is_some() { steps(Duration::from_millis(500)) } else { 0 };
                state.seen.shutdown_by = Some(state.now + 1 + grace);
                self.tell(Event::ShutdownBy(now + STEP), state);
            }
        }
    }

    fn tell(&self, event: Event, state: &mut State) {
        if state.seen.end.is_none() {
            state.close.handle(event, self.instant(state.now));
            self.release_if_over(state);
        }
    }
}
