//! How a connection comes back from its service.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::close::driver::Close;
use crate::close::settings::Shared;
use crate::serve::close_handle::Wish;
use crate::serve::observed::Seen;
use crate::transport::Transport;

/// Where a connection goes when its service drops it. The close begins, and the tracker counts it, at that moment:
/// there is no gap in which a server that waits for its connections could believe that it has none.
pub(crate) struct Home<T: Transport> {
    shared: Arc<Shared>,
    /// The layer's future, which closes the connection in its own task. Without it, or when it is gone, the close gets
    /// a task of its own.
    future: Option<oneshot::Sender<Close<T>>>,
}

impl<T: Transport> Home<T> {
    /// A connection that nobody but the tracker waits for.
    pub(crate) fn tracker(shared: Arc<Shared>) -> Self {
        Self { shared, future: None }
    }

    /// A connection that a future waits for.
    pub(crate) fn future(shared: Arc<Shared>) -> (Self, oneshot::Receiver<Close<T>>) {
        let (future, back) = oneshot::channel();
        (Self { shared, future: Some(future) }, back)
    }

    pub(crate) fn take_back(self, io: T, seen: Seen, wish: Wish) {
        let policy = match wish {
            Wish::Policy(policy) => Arc::new(policy),
            Wish::None | Wish::Abort => self.shared.policy.clone(),
        };
        let close = Close::new(io, seen, policy, self.shared);
        match self.future {
            // A close that does not arrive is dropped, and so goes on in a task of its own.
            Some(future) => drop(future.send(close)),
            None => drop(close),
        }
    }
}
