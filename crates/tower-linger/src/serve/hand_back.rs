//! How a connection comes back from its service.

use crate::close::driver::Close;
use crate::serve::connection::Override;
use crate::serve::observed::Observed;
use crate::serve::served::Served;
use crate::sync::oneshot;
use crate::transport::Transport;

/// Where a connection goes when its service drops it. The tracker counts it all the time, first as served,
/// then as closing: there is no gap in which a server that waits for its connections could believe that it
/// has none.
pub(crate) struct HandBack<T: Transport> {
    /// The layer's future, which closes the connection in its own task. Without it, or when it is gone, the
    /// close gets a task of its own.
    future: Option<oneshot::Sender<Close<T>>>,
}

impl<T: Transport> HandBack<T> {
    /// For a connection that only the tracker waits for.
    pub(crate) fn to_tracker() -> Self {
        Self { future: None }
    }

    /// For a connection that a future waits for.
    pub(crate) fn to_future() -> (Self, oneshot::Receiver<Close<T>>) {
        let (future, back) = oneshot::channel();
        (Self { future: Some(future) }, back)
    }

    /// The service has let go of the connection: its close begins.
    pub(crate) fn take_back(self, io: T, mut observed: Observed, served: Served) {
        let wanted = served.connection().wanted();
        let verdict = observed.verdict(served.connection(), &wanted);
        // What else has arrived, against its word, is drained.
        let is_done = observed.has_read_all && served.connection().is_client_done();
        let ticket = served.begin_close();
        // A container's network goes with its process, and with it what the kernel has yet to send.
        observed.start.peer_done = is_done && !ticket.is_of_shutdown;
        let policy = match wanted {
            Override::Policy(policy) => policy,
            Override::None | Override::Abort | Override::Reset => ticket.settings().policy.get(),
        };
        let close = Close::new(io, observed.start, verdict, policy, ticket);
        let undelivered = match self.future {
            Some(future) => future.send(close).err(),
            None => Some(close),
        };
        if let Some(close) = undelivered {
            close.detach();
        }
    }
}
