//! The accept loop.

use std::future::poll_fn;
use std::io;
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::watch;

use super::activity::Stage;
use super::listener::Listener;
use crate::clock::{after, sleep_until};
use crate::close::log;
use crate::sync::Sleep;
use crate::tracker::shutdown::ShutdownHandle;
use crate::tracker::tracker::Tracker;

/// The accept loop of one server, with what it looks at before each accept.
pub(super) struct Accepting<L> {
    listener: L,
    tracker: Tracker,
    max_connections: Option<NonZeroUsize>,
    stage: watch::Sender<Stage>,
    /// Running after an error.
    pause: Option<Pin<Box<Sleep>>>,
}

impl<L: Listener> Accepting<L> {
    pub(super) fn new(
        listener: L,
        tracker: Tracker,
        max_connections: Option<NonZeroUsize>,
        stage: watch::Sender<Stage>,
    ) -> Self {
        Self { listener, tracker, max_connections, stage, pause: None }
    }

    /// Calls `spawn` with each connection, until the shutdown is requested and none is left in the queue.
    pub(super) async fn run(mut self, shutdown: &ShutdownHandle, mut spawn: impl FnMut(L::Io, L::Address)) {
        // Who had this socket before may have been killed while it refused.
        self.listener.set_refuses_new(false);
        let mut noticed = pin!(shutdown.noticed());
        let mut requested = pin!(shutdown.requested());
        while let Some(accepted) = poll_fn(|cx| {
            if *self.stage.borrow() == Stage::Serving && noticed.as_mut().poll(cx).is_ready() {
                self.stage.send_replace(Stage::Noticed);
            }
            if requested.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            ready!(self.poll_room(cx));
            self.listener.poll_accept(cx).map(Some)
        })
        .await
        {
            self.take(accepted, &mut spawn);
        }
        self.stage.send_replace(Stage::Stopping);
        self.empty_queue(&mut spawn).await;
    }

    /// Accepts what the kernel has accepted already. A client in the queue takes itself for connected, and
    /// may have sent its request.
    async fn empty_queue(self, spawn: &mut impl FnMut(L::Io, L::Address)) {
        let mut refusing = Refusing(Some(self));
        let refuses = refusing.accepting().listener.set_refuses_new(true);
        let wait = if refuses { LAST_HANDSHAKES } else { Duration::ZERO };
        let mut over = pin!(sleep_until(after(wait)));
        while let Some(accepted) = poll_fn(|cx| {
            let accepting = refusing.accepting();
            // Until there is room nobody knows whether the queue is empty.
            ready!(accepting.poll_room(cx));
            match accepting.listener.poll_accept(cx) {
                Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
                Poll::Pending => over.as_mut().poll(cx).map(|()| None),
            }
        })
        .await
        {
            refusing.accepting().take(accepted, spawn);
        }
    }

    /// Completes when there is room for a connection, and no pause.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        self.max_connections.map_or(Poll::Ready(()), |most| self.tracker.poll_room(most, cx))
    }

    fn take(&mut self, accepted: Accepted<L>, spawn: &mut impl FnMut(L::Io, L::Address)) {
        match accepted {
            Ok((io, address)) => spawn(io, address),
            // The client has gone before it was accepted.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                log::failed_accept(&error);
                self.pause = Some(Box::pin(sleep_until(after(PAUSE))));
            }
        }
    }
}

/// Closes the listener when it is dropped, so that it does not refuse for ever if others have its socket.
struct Refusing<L: Listener>(Option<Accepting<L>>);

impl<L: Listener> Refusing<L> {
    fn accepting(&mut self) -> &mut Accepting<L> {
        self.0.as_mut().expect("only dropping takes it")
    }
}

impl<L: Listener> Drop for Refusing<L> {
    fn drop(&mut self) {
        if let Some(accepting) = self.0.take() {
            accepting.listener.close();
        }
    }
}

type Accepted<L> = io::Result<(<L as Listener>::Io, <L as Listener>::Address)>;

/// Errors that accept(2) reports of the connection that it would have returned.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// How long the server accepts nothing after another error. Most often no descriptor is left (`EMFILE`), and
/// the connection stays in the queue, so that without a pause the loop would spin.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the clients whose handshake has begun when the server stops have to complete it. That is a round
/// trip, and most are shorter. A client that begins in this time is delayed by a second, so it is no longer.
const LAST_HANDSHAKES: Duration = Duration::from_millis(100);
