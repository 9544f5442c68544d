//! The peer's end of the connection.

use std::io;
use std::time::Duration;

use tokio::time::timeout;

use super::near::Mark;
use super::{Link, Side};

const ECONNRESET: i32 = 104;

/// What the peer's application can find out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    /// Bytes that it could send.
    pub(crate) room: u64,
    /// It has read everything, and the FIN follows.
    pub(crate) is_at_end: bool,
    pub(crate) is_over: bool,
}

impl Link {
    pub(crate) fn view(&self) -> View {
        let state = self.lock();
        let seen = &state.seen;
        View {
            room: self.buffers.to_server - (seen.sent - seen.received).min(self.buffers.to_server),
            is_at_end: seen.fin_at.is_some() && state.acknowledged_fin && seen.read_by_peer == seen.taken,
            is_over: seen.is_reset || seen.reset_by_peer || state.is_dead,
        }
    }

    /// Waits until the server did something, at most this long.
    pub(crate) async fn changed(&self, at_most: Duration) {
        let _ = timeout(at_most, self.changed.notified()).await;
    }

    /// The peer's kernel acknowledges so much, and the FIN if it was all.
    pub(crate) fn acknowledge(&self, most: u64) {
        let mut state = self.lock();
        let acknowledged = (state.seen.taken - state.seen.acknowledged).min(most);
        state.seen.acknowledged += acknowledged;
        let is_all = state.seen.acknowledged == state.seen.taken;
        let is_new_fin = is_all && state.seen.fin_at.is_some() && !state.acknowledged_fin;
        state.acknowledged_fin |= is_new_fin;
        drop(state);
        if acknowledged > 0 {
            self.wake(Side::Write);
        }
        if acknowledged > 0 || is_new_fin {
            self.wake(Side::Acknowledged);
        }
    }

    pub(crate) fn read_by_peer(&self, most: u64) -> u64 {
        let mut state = self.lock();
        let readable =
            if state.seen.is_reset { 0 } else { state.seen.acknowledged - state.seen.read_by_peer };
        let read = readable.min(most);
        state.seen.read_by_peer += read;
        drop(state);
        if read > 0 {
            self.note(|| format!("the peer reads {read} bytes"));
        }
        read
    }

    /// The peer sends bytes, as many as there is room for. A socket that is closed answers with a reset.
    pub(crate) fn send_by_peer(&self, length: u64) -> u64 {
        let room = self.view().room;
        let mut state = self.lock();
        let sent = room.min(length);
        if state.seen.peer_fin || sent == 0 {
            return 0;
        }
        if state.seen.is_closed {
            state.seen.is_reset = true;
            drop(state);
            self.note(|| "the peer sends to a closed socket, and gets a reset".to_owned());
            return sent;
        }
        state.seen.sent += sent;
        drop(state);
        self.note(|| format!("the peer sends {sent} bytes"));
        self.wake(Side::Read);
        sent
    }

    pub(crate) fn mark(&self, mark: Mark) {
        let mut state = self.lock();
        let at = state.seen.sent;
        state.marks.push((at, mark));
        state.seen.peer_notified |= mark == Mark::CloseNotify;
        state.seen.spoiled |= mark != Mark::CloseNotify;
        drop(state);
        self.note(|| format!("the peer sends {mark:?}"));
        self.wake(Side::Read);
    }

    pub(crate) fn fin_by_peer(&self) {
        self.lock().seen.peer_fin = true;
        self.note(|| "the peer sends its FIN".to_owned());
        self.wake(Side::Read);
    }

    pub(crate) fn reset_by_peer(&self) {
        let mut state = self.lock();
        if !state.is_dead {
            state.error = Some(io::Error::from_raw_os_error(ECONNRESET));
        }
        state.is_dead = true;
        state.seen.reset_by_peer = true;
        drop(state);
        self.note(|| "the peer resets the connection".to_owned());
        self.wake_all();
    }
}
