//! The state in which a close begins.

use linger_proto::{CloseMachine, Failure, Notified};

use super::close::{Close, Fault};
use super::configurations::Configuration;
use super::connection::{End, Life};
use super::model::{Client, State};
use super::seen::Seen;

impl Configuration {
    pub(crate) fn begin(&self, fault: Option<Fault>) -> State {
        let mut server = End::new();
        server.sent = self.written;
        let half_closed = self.start.half_closed;
        if let Some(notified) = half_closed {
            server.sent += u8::from(notified.includes_close_notify());
            server.fin = true;
        }
        let failure = self.start.failure.filter(|failure| failure.is_final());
        if failure.is_some() {
            // It was told of its error already.
            server.life = Life::Gone;
        }
        let began = self.instant(0);
        let machine = CloseMachine::new(self.policy, self.start, began);
        let mut state = State {
            now: 0,
            close: Close::new(machine, fault, began),
            server,
            low_water: 1,
            is_broken: self.is_broken_from_the_start(),
            peer: End::new(),
            client: Client { saw_end: false, saw_fin: false, gave_up: false, notified_at: None },
            seen: Seen {
                fins: half_closed.is_some().into(),
                disorder: false,
                notified: half_closed.is_some_and(Notified::includes_close_notify),
                failure: failure.map(Failure::outcome),
                ended_by_others: false,
                wrote_at: 0,
                acked_at: 0,
                fin_at: half_closed.map(|_| 0),
                arrived_at: 0,
                drained: 0,
                shutdown_by: None,
                end: None,
            },
        };
        self.release_if_over(&mut state);
        state
    }
}
