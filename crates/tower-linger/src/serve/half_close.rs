//! What `poll_shutdown` does: sends `close_notify` and FIN, or leaves them to a later read or to the close.

use std::io;
use std::task::{Context, Poll, ready};

use linger_proto::{Alert, ClosePolicy, Notified};

use crate::serve::connection::{ENDED_WRITES, Override};
use crate::serve::loan::Loan;
use crate::transport::Transport;

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
            // If another task reads, it is woken to read again. That sends the half-close, or waits until it
            // can be sent.
            self.served.connection().wake_other_reader(cx.waker());
        }
        result
    }

    /// Whether a handler wants no clean end, a response has failed, or the peer's alert has ended the
    /// session. Then the close decides what the peer sees. hyper drops a connection whose response has
    /// failed, but poem polls it again, and then hyper shuts it down.
    pub(super) fn must_not_notify(&self) -> bool {
        let wants_no_clean_end = match self.served.connection().wanted() {
            Override::Abort | Override::Reset => true,
            Override::None | Override::Policy(_) => false,
        };
        wants_no_clean_end
            || self.served.connection().has_failed_response()
            || self.observed.start.fatal_alert == Some(Alert::Received)
    }

    fn holds_fin_back(&self) -> bool {
        let by_policy = match self.served.connection().wanted() {
            Override::Policy(policy) => policy.holds_fin_back(),
            Override::None | Override::Abort | Override::Reset => {
                self.served.settings().policy.with(ClosePolicy::holds_fin_back)
            }
        };
        by_policy && !self.observed.is_upgraded() || self.must_not_notify()
    }

    /// Sends `close_notify` and FIN, or notes that they are owed. Does nothing once they are sent.
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
            Poll::Ready(Err(error)) => Err(self.observed.record::<T>(error)),
        }
    }
}

fn poll_end_of_writes<T: Transport>(
    io: &mut T,
    fatal_alert: bool,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Notified>> {
    let notified = if fatal_alert { Notified::Nothing } else { ready!(io.poll_notify(cx))? };
    match notified {
        Notified::Nothing | Notified::CloseNotify => ready!(io.poll_half_close(cx))?,
        Notified::CloseNotifyAndFin => {}
    }
    Poll::Ready(Ok(notified))
}
