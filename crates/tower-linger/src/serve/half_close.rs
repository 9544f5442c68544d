//! The service ends its writes: when `close_notify` and FIN go out.

use std::io;
use std::task::{Context, Poll, ready};

use linger_proto::{Alert, ClosePolicy, Notified};

use crate::serve::connection::{ENDED_WRITES, Override};
use crate::serve::loan::Loan;
use crate::transport::{Transport, poll_half_close};

impl<T: Transport> Loan<T> {
    /// The service ends its writes.
    pub(super) fn end_writes(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.observed.start.half_closed.is_some() || self.observed.owes_half_close {
            return Ok(());
        }
        let result = if self.holds_fin_back() {
            self.observed.owes_half_close = true;
            Ok(())
        } else {
            self.half_close(cx)
        };
        self.served.connection().set(ENDED_WRITES);
        if self.observed.owes_half_close {
            // Who reads in another task is asked to read again, which sends it, or waits until it can be
            // sent.
            self.served.connection().wake_other_reader(cx.waker());
        }
        result
    }

    /// A handler wants no clean end, or the peer's alert ended the session: what follows is for the close.
    pub(super) fn must_not_notify(&self) -> bool {
        self.observed.start.fatal_alert == Some(Alert::Received)
            || matches!(self.served.connection().wanted(), Override::Abort | Override::Reset)
    }

    fn holds_fin_back(&self) -> bool {
        let holds_back = |policy: &ClosePolicy| policy.holds_fin_back() && !self.observed.is_upgraded();
        let by_policy = match self.served.connection().wanted() {
            Override::Policy(policy) => holds_back(&policy),
            _ => holds_back(&self.served.settings().policy),
        };
        by_policy || self.must_not_notify()
    }

    /// Sends the closure alert and the FIN, or notes that they are owed. Does nothing once they are sent.
    pub(super) fn half_close(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.observed.start.half_closed.is_some() {
            return Ok(());
        }
        let polled = poll_end_of_writes(&mut self.io, self.observed.start.fatal_alert.is_some(), cx);
        self.observed.owes_half_close = polled.is_pending();
        match polled {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(notified)) => {
                self.observed.start.half_closed = Some(notified);
                Ok(())
            }
            Poll::Ready(Err(error)) => Err(self.observed.record(error)),
        }
    }
}

fn poll_end_of_writes<T: Transport>(
    io: &mut T,
    fatal_alert: bool,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Notified>> {
    let notified = if fatal_alert { Notified::Nothing } else { ready!(io.poll_notify(cx))? };
    if notified != Notified::CloseNotifyAndFin {
        ready!(poll_half_close(io, cx))?;
    }
    Poll::Ready(Ok(notified))
}
