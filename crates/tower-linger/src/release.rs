//! How a connection comes back from its service.

use std::fmt;

use tokio::sync::oneshot;

use crate::driver::{Close, Closing};
use crate::io::Seen;
use crate::layer::LingerLayer;
use crate::transport::Transport;

/// A connection that its service has let go of, and what was seen of it.
pub(crate) struct HandBack<T> {
    pub(crate) io: T,
    pub(crate) seen: Seen,
}

/// Where a connection goes when its service drops it.
pub(crate) enum Home<T> {
    /// To the layer's future, which closes it in its own task; to a task of its own if that future is gone.
    Future(oneshot::Sender<HandBack<T>>, LingerLayer),
    /// To a task of its own: nobody waits for it but the tracker.
    Tracker(LingerLayer),
}

impl<T: Transport> Home<T> {
    pub(crate) fn take_back(self, io: T, seen: Seen) {
        let (back, linger) = match self {
            Self::Tracker(linger) => (HandBack { io, seen }, linger),
            Self::Future(future, linger) => match future.send(HandBack { io, seen }) {
                Ok(()) => return,
                Err(back) => (back, linger),
            },
        };
        Close::spawn(Closing::new(back, &linger));
    }
}

impl<T> fmt::Debug for HandBack<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandBack").field("seen", &self.seen).finish_non_exhaustive()
    }
}
