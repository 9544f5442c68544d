//! The stream of a connection that is being closed, before and after its session is dropped.

use std::io;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use linger_proto::{Action, Event, Failure};

use crate::transport::session::SessionEnd;
use crate::transport::{self, Ends, Transport};

/// The connection, before and after its session is dropped. Performs one action of the machine.
pub(crate) enum Stream<T: Transport> {
    /// Boxed, so that its memory is free once it is gone.
    Session(Box<T>),
    Raw(T::Raw),
    /// Only while it passes from one to the other.
    Moving,
}

impl<T: Transport> Stream<T> {
    /// Performs the machine's action. Returns the event that answers it.
    pub(crate) fn perform(&mut self, action: Action, cx: &mut Context<'_>) -> Poll<Event> {
        if let Action::Discard { .. } | Action::Settle { .. } | Action::HalfClose { below_session: true } =
            action
        {
            self.drop_session();
        }
        let result = match (action, self) {
            (Action::Flush, Self::Session(io)) => {
                ready!(Pin::new(&mut **io).poll_flush(cx)).map(|()| Event::Flushed)
            }
            (Action::Notify, Self::Session(io)) => ready!(io.poll_notify(cx)).map(Event::Notified),
            (Action::HalfClose { .. }, Self::Session(io)) => {
                ready!(io.poll_half_close(cx)).map(|()| Event::HalfClosed)
            }
            (Action::HalfClose { .. }, Self::Raw(io)) => {
                ready!(io.poll_half_close(cx)).map(|()| Event::HalfClosed)
            }
            (Action::AwaitPeer { limit }, Self::Session(io)) => ready!(poll_session(&mut **io, cx, limit)),
            (Action::Settle { limit: None }, Self::Raw(_)) => return Poll::Pending,
            (Action::Settle { limit: Some(limit) } | Action::Discard { limit, .. }, Self::Raw(io)) => {
                ready!(io.poll_discard(cx, limit)).map(discarded)
            }
            // The session is gone for good, because it panicked on the way for example.
            (Action::Flush | Action::Notify | Action::AwaitPeer { .. }, Self::Raw(_) | Self::Moving)
            | (Action::Settle { .. } | Action::Discard { .. }, Self::Session(_) | Self::Moving)
            | (Action::HalfClose { .. }, Self::Moving) => Ok(Event::Abandoned),
        };
        Poll::Ready(result.unwrap_or_else(|error| match error {
            error if tokio::runtime::is_rt_shutdown_err(&error) => Event::Abandoned,
            // How TLS streams of other crates report a FIN without close_notify.
            error
                if T::Raw::session_end(&error) == Some(SessionEnd::Truncated)
                    && matches!(action, Action::Discard { .. } | Action::Settle { .. }) =>
            {
                Event::PeerFin
            }
            error => Event::Failed(Failure::from(&error)),
        }))
    }

    /// Completes when the peer has acknowledged everything, and never if the system cannot tell: that is no
    /// failure of the close.
    pub(crate) fn poll_acknowledged(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let Self::Raw(io) = self else { return Poll::Pending };
        match ready!(io.poll_acknowledged(cx)) {
            Ok(rtt) => Poll::Ready(Event::Acknowledged { rtt }),
            Err(_) => Poll::Pending,
        }
    }

    /// Wakes the reader only when this many bytes are there. Returns whether the system can do that.
    pub(crate) fn set_low_water(&self, bytes: u32) -> bool {
        matches!(self, Self::Raw(io) if transport::set_low_water(io, bytes))
    }

    /// Discards what has arrived, in one call; `None` if that is nothing.
    pub(crate) fn discard_now(&self, limit: NonZeroUsize) -> Option<Event> {
        let Self::Raw(io) = self else { return None };
        match transport::discard_now(io, limit) {
            Ok(bytes) => Some(discarded(bytes)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => Some(Event::Failed(Failure::from(&error))),
        }
    }

    /// Frees the session and its buffers: the drain is below it.
    fn drop_session(&mut self) {
        *self = match std::mem::replace(self, Self::Moving) {
            Self::Session(io) => Self::Raw(io.into_raw()),
            other => other,
        };
    }

    /// Makes the release send a RST. Returns whether it will.
    pub(crate) fn abort(&self) -> bool {
        match self {
            Self::Session(io) => transport::abort(&**io),
            Self::Raw(io) => transport::abort(io),
            Self::Moving => false,
        }
    }

    /// How long ago the peer's last bytes arrived, where the system can tell.
    pub(crate) fn last_received(&self) -> Option<Duration> {
        match self {
            Self::Session(io) => transport::last_received(&**io),
            Self::Raw(io) => transport::last_received(io),
            Self::Moving => None,
        }
    }

    pub(crate) fn bound_orphan(&self, timeout: Duration) {
        match self {
            Self::Session(io) => transport::bound_orphan(&**io, timeout),
            Self::Raw(io) => transport::bound_orphan(io, timeout),
            Self::Moving => {}
        }
    }

    /// Which sockets it is between.
    pub(crate) fn ends(&self) -> Ends {
        match self {
            Self::Session(io) => transport::ends(&**io),
            Self::Raw(io) => transport::ends(io),
            Self::Moving => Ends::default(),
        }
    }

    /// The peer's address, where it has one.
    pub(crate) fn peer(&self) -> Option<IpAddr> {
        match self {
            Self::Session(io) => transport::peer(&**io),
            Self::Raw(io) => transport::peer(io),
            Self::Moving => None,
        }
    }

    /// Bytes of ours that the peer has not acknowledged, where the system can tell.
    pub(crate) fn unacked(&self) -> Option<u64> {
        match self {
            Self::Session(io) => transport::unacked(&**io),
            Self::Raw(io) => transport::unacked(io),
            Self::Moving => None,
        }
    }

    /// Discards what has arrived, at most `limit` bytes, without waiting.
    pub(crate) fn discard_arrived(&self, limit: u64) -> u64 {
        let limit = limit.min(LAST_LOOK_BYTES);
        let Some(limit) = usize::try_from(limit).ok().and_then(NonZeroUsize::new) else { return 0 };
        let bytes = match self {
            Self::Session(io) => transport::discard_arrived(&**io, limit),
            Self::Raw(io) => transport::discard_arrived(io, limit),
            Self::Moving => 0,
        };
        bytes as u64
    }
}

/// Most bytes that the last look before the release discards: more than a receive buffer usually holds.
const LAST_LOOK_BYTES: u64 = 8 << 20;

fn discarded(bytes: usize) -> Event {
    match bytes {
        0 => Event::PeerFin,
        bytes => Event::Discarded(bytes),
    }
}

/// Reads through the session, if there is one, for the peer's end of data.
///
/// In debug builds rustls asserts that it sends no alert after its `close_notify`. A record that it cannot
/// decode makes it send one, so a peer can have it panic here. Such a session is over, like any other that
/// fails; the close goes on below.
fn poll_session<T: Transport>(
    io: &mut T,
    cx: &mut Context<'_>,
    limit: NonZeroUsize,
) -> Poll<io::Result<Event>> {
    // A session that panicked is dropped next, and nothing else of it is used.
    let polled = catch_unwind(AssertUnwindSafe(|| io.poll_discard(cx, limit)));
    match ready!(polled.unwrap_or_else(|_| Poll::Ready(Err(io::ErrorKind::InvalidData.into())))) {
        Ok(0) if io.met_fin() => Poll::Ready(Ok(Event::PeerFin)),
        Ok(0) => Poll::Ready(Ok(Event::PeerEnded)),
        Ok(bytes) => Poll::Ready(Ok(Event::Discarded(bytes))),
        // A FIN without a closure alert.
        Err(error) if T::session_end(&error) == Some(SessionEnd::Truncated) => {
            Poll::Ready(Ok(Event::PeerFin))
        }
        Err(error) => Poll::Ready(Err(error)),
    }
}

#[cfg(all(test, target_os = "linux", not(tower_linger_portable)))]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair() -> (TcpStream, Stream<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let peer = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let (io, _) = listener.accept().await.expect("a connection");
        (peer, Stream::Raw(io))
    }

    async fn woken(stream: &Stream<TcpStream>) {
        let Stream::Raw(io) = stream else { unreachable!("it is raw") };
        io.readable().await.expect("a runtime");
    }

    /// A close that asks for what has been gathered goes on waiting, or ends as its connection has.
    #[tokio::test]
    async fn what_has_arrived_is_nothing_or_bytes_or_the_peers_end_or_a_failure() {
        let limit = NonZeroUsize::new(1 << 16).expect("not zero");
        let (mut peer, stream) = pair().await;
        assert_eq!(stream.discard_now(limit), None);
        peer.write_all(b"hello").await.expect("loopback");
        woken(&stream).await;
        assert_eq!(stream.discard_now(limit), Some(Event::Discarded(5)));
        drop(peer);
        woken(&stream).await;
        assert_eq!(stream.discard_now(limit), Some(Event::PeerFin));

        let (peer, stream) = pair().await;
        socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).expect("a socket");
        drop(peer);
        woken(&stream).await;
        let Some(Event::Failed(failure)) = stream.discard_now(limit) else { panic!("no failure") };
        assert_eq!(failure.kind(), io::ErrorKind::ConnectionReset);
    }
}
