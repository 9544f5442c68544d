//! What the driver of tower-linger does with a connection, on the model's sockets: one action, one event.

use std::io;
use std::num::{NonZeroU32, NonZeroUsize};

use linger_proto::{Action, CloseReport, Event, Failure, Notified, Outcome, Phase, Release};

use super::configurations::{Configuration, May};
use super::connection::{Cause, End, Life};
use super::model::{STEP, State};
use super::seen::Ending;

impl Configuration {
    /// Whether the driver would do something now; otherwise it waits.
    pub(crate) fn is_ready(&self, state: &State) -> bool {
        let Some(action) = state.close.action() else { return false };
        let is_late = state.close.next_timeout().is_some_and(|timeout| timeout <= self.instant(state.now));
        is_late
            || is_acknowledged(state)
            || wanted_low_water(action).is_some_and(|low_water| low_water != state.low_water)
            || self.can_perform(action, state)
    }

    fn can_perform(&self, action: Action, state: &State) -> bool {
        let State { server, peer, .. } = state;
        let is_over = server.error.is_some() || server.life == Life::Gone;
        match action {
            Action::Flush => {
                server.sent >= self.response || self.has_room(server) || is_over || state.is_broken
            }
            Action::Notify => self.session == Notified::Nothing || self.has_room(server) || is_over,
            Action::HalfClose { .. } => true,
            Action::Settle { limit: None } => false,
            Action::Settle { limit: Some(_) } | Action::Discard { .. } | Action::AwaitPeer { .. } => {
                let unread = u64::from(state.low_water) <= self.unread_bytes(state);
                unread || server.at_fin(peer) || is_over
            }
        }
    }

    /// Whether one more unit finds room in the send queue. It never has room for a whole response.
    fn has_room(&self, server: &End) -> bool {
        server.unacked() < (self.response - 1).max(1)
    }

    /// Bytes that can be read.
    fn unread_bytes(&self, state: &State) -> u64 {
        let read = state.server.read;
        (read..read + state.server.unread(&state.peer)).map(|unit| self.unit_bytes(unit)).sum()
    }

    /// Lets the driver go on: it performs the action if it can, and else does what it does while it waits.
    pub(crate) fn drive(&self, state: &mut State) {
        let Some(action) = state.close.action() else { return };
        let now = self.instant(state.now);
        if self.can_perform(action, state) {
            let event = self.perform(action, state);
            self.note(event, state);
            state.close.handle(event, now);
        } else if is_acknowledged(state) {
            state.close.handle(Event::Acknowledged { rtt: STEP / 2 }, now);
        } else if let Some(low_water) = wanted_low_water(action).filter(|wanted| *wanted != state.low_water) {
            self.set_low_water(low_water, state);
        } else {
            self.ask_for_acknowledgements(state);
            state.close.handle(Event::Tick, now);
        }
        self.ask_for_acknowledgements(state);
        if matches!(state.close.action(), Some(Action::AwaitPeer { .. })) && !state.server.fin {
            state.seen.wrote_at = state.now;
        }
        self.release_if_over(state);
    }

    fn ask_for_acknowledgements(&self, state: &mut State) {
        if state.close.phase() == Phase::Settle {
            let unacked = Event::Unacked(Some(state.server.unacked().into()));
            state.close.handle(unacked, self.instant(state.now));
        }
    }

    fn perform(&self, action: Action, state: &mut State) -> Event {
        match action {
            Action::Flush if state.is_broken => Event::Failed(Failure::from_kind(io::ErrorKind::InvalidData)),
            Action::Flush if state.server.sent >= self.response => Event::Flushed,
            Action::Flush => match write(state) {
                Some(failed) => failed,
                None if state.server.sent >= self.response => Event::Flushed,
                None => Event::WriteProgress,
            },
            Action::Notify if self.session == Notified::Nothing => Event::Notified(self.session),
            Action::Notify => {
                state.seen.notified = true;
                state.seen.disorder |= state.server.sent != self.response;
                write(state).unwrap_or_else(|| {
                    if self.session == Notified::CloseNotifyAndFin {
                        self.half_close(state);
                    }
                    Event::Notified(self.session)
                })
            }
            Action::HalfClose { .. } => {
                self.half_close(state);
                Event::HalfClosed
            }
            Action::Settle { limit } => self.discard(limit, state),
            Action::Discard { limit, .. } => self.discard(Some(limit), state),
            Action::AwaitPeer { limit } => self.read_session(limit, state),
        }
    }

    /// On a socket that is gone this succeeds, as tokio has it.
    fn half_close(&self, state: &mut State) {
        let State { server, seen, .. } = state;
        seen.fins += 1;
        seen.disorder |= server.sent < self.response && !self.is_broken_from_the_start();
        seen.fin_at.get_or_insert(state.now);
        // From here on no bound depends on it.
        seen.wrote_at = 0;
        if server.life == Life::Open {
            server.fin = true;
        }
    }

    fn discard(&self, limit: Option<NonZeroUsize>, state: &mut State) -> Event {
        let State { server, peer, .. } = state;
        let mut bytes = 0;
        let limit = limit.map_or(0, |limit| limit.get() as u64);
        while server.unread(peer) > 0 && bytes + self.unit_bytes(server.read) <= limit {
            bytes += self.unit_bytes(server.read);
            server.read += 1;
        }
        if bytes > 0 { discarded(bytes) } else { end_of_data(server) }
    }

    /// Reads through the session: one unit, which may be the peer's `close_notify` or a record without sense.
    fn read_session(&self, limit: NonZeroUsize, state: &mut State) -> Event {
        let State { server, peer, client, .. } = state;
        if server.read > client.notified_at.unwrap_or(u8::MAX) {
            return Event::PeerEnded;
        }
        if server.unread(peer) == 0 {
            return end_of_data(server);
        }
        let unit = server.read;
        server.read += 1;
        if client.notified_at == Some(unit) {
            Event::PeerEnded
        } else if self.may(May::SendGarbage) && unit + 1 == self.upload {
            Event::Failed(Failure::from_kind(io::ErrorKind::InvalidData))
        } else {
            discarded(self.unit_bytes(unit).min(limit.get() as u64))
        }
    }

    /// What has arrived below the old mark has woken nobody: it is read when the mark falls, as of when it
    /// came.
    fn set_low_water(&self, low_water: u32, state: &mut State) {
        let falls = low_water < state.low_water;
        if !falls && !self.gathers {
            state.close.handle(Event::CannotGather, self.instant(state.now));
            return;
        }
        state.low_water = low_water;
        if falls && state.server.unread(&state.peer) > 0 {
            let came_at = self.instant(state.seen.arrived_at);
            let event = self.discard(NonZeroUsize::new(1 << 20), state);
            self.note(event, state);
            state.close.handle(event, came_at);
        }
    }

    /// Remembers what the driver was told.
    fn note(&self, event: Event, state: &mut State) {
        match event {
            Event::Discarded(bytes) => state.seen.drained += bytes as u64,
            Event::Failed(failure) if failure.is_final() => {
                state.seen.failure.get_or_insert(failure.outcome());
            }
            // The response is not whole then, whatever the machine does.
            Event::Failed(_) if state.is_broken && !self.is_broken_from_the_start() => {
                state.seen.ended_by_others = true;
            }
            _ => {}
        }
    }

    /// Releases the socket once there is a report, and hands in late events.
    pub(crate) fn release_if_over(&self, state: &mut State) {
        let Some(report) = state.close.report() else { return };
        if state.seen.end.is_some() {
            return;
        }
        let excused = state.seen.may_stop(&state.server, self, state.now);
        let written = state.server.sent.min(self.response);
        let goes_on = state.close.action().is_some() || state.close.next_timeout().is_some();
        self.release(&report, state);
        let mut late = state.close.clone();
        let now = self.instant(state.now);
        for event in [Event::Tick, Event::PeerFin, Event::HalfClosed, Event::ShutdownBy(now), Event::Evicted]
        {
            late.handle(event, now + STEP);
        }
        state.seen.end = Some(Ending {
            report,
            at: state.now,
            excused,
            reports_again: late.report() != Some(report),
            goes_on: goes_on || late.action().is_some() || late.next_timeout().is_some(),
            written,
        });
    }

    fn release(&self, report: &CloseReport, state: &mut State) {
        let left = state.close.bytes_left();
        let State { server, peer, .. } = state;
        match report.release {
            Release::Abort => return server.reset(),
            Release::Close if report.outcome == Outcome::LeftOpen => return,
            Release::Close if report.outcome.is_connection_over() => {}
            Release::Close => {
                let mut left = left;
                while server.unread(peer) > 0 && self.unit_bytes(server.read) <= left {
                    left -= self.unit_bytes(server.read);
                    state.seen.drained += self.unit_bytes(server.read);
                    server.read += 1;
                }
            }
        }
        server.close(peer);
    }
}

/// Writes one unit. Returns the failure, if it does.
fn write(state: &mut State) -> Option<Event> {
    let server = &mut state.server;
    if let Some(cause) = server.error.take() {
        return Some(failed(cause));
    }
    if server.life == Life::Gone || server.fin {
        state.seen.disorder |= server.fin;
        return Some(failed(Cause::Pipe));
    }
    server.sent += 1;
    state.seen.wrote_at = state.now;
    None
}

fn is_acknowledged(state: &State) -> bool {
    let discards = matches!(state.close.action(), Some(Action::Discard { .. }));
    let server = &state.server;
    discards && state.close.wants_acknowledgement() && server.fin && server.is_acknowledged()
}

fn wanted_low_water(action: Action) -> Option<u32> {
    match action {
        Action::Discard { wake_at, .. } => Some(NonZeroU32::get(wake_at)),
        _ => None,
    }
}

/// Nothing can be read any more: the error is told once, and looks like a FIN from then on.
fn end_of_data(server: &mut End) -> Event {
    server.error.take().map_or(Event::PeerFin, failed)
}

fn failed(cause: Cause) -> Event {
    Event::Failed(Failure::from(&io::Error::from_raw_os_error(cause.errno())))
}

fn discarded(bytes: u64) -> Event {
    Event::Discarded(usize::try_from(bytes).unwrap_or(usize::MAX))
}
