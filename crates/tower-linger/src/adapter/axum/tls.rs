//! The TLS listener.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

use axum::serve::Listener;
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;

use crate::serve::io::LingerIo;
use crate::tls::TlsAcceptLayer;
use crate::transport::Transport;

/// A listener that does TLS, with any number of handshakes at once, each bounded in time. Its connections, those
/// whose handshake failed included, are closed properly.
///
/// Handshakes that are still going on when the listener is dropped are given up.
pub struct TlsLingerListener<L: Listener<Io: Transport>> {
    listener: L,
    tls: TlsAcceptLayer,
    handshakes: JoinSet<Option<Accepted<L>>>,
}

type Accepted<L> = (LingerIo<TlsStream<<L as Listener>::Io>>, <L as Listener>::Addr);

impl<L> TlsLingerListener<L>
where
    L: Listener<Io: Transport, Addr: 'static>,
{
    /// Accepts from `listener`, and does the handshake and the closing as `tls` says.
    #[must_use]
    pub fn new(listener: L, tls: TlsAcceptLayer) -> Self {
        Self { listener, tls, handshakes: JoinSet::new() }
    }

    fn start(&mut self, io: L::Io, address: L::Addr) {
        let (handshake, linger) = (self.tls.start(io), self.tls.linger().clone());
        self.handshakes.spawn(async move {
            // A failed one drops its close here, which goes on in a task of its own.
            handshake.await.ok().map(|(stream, _place)| (linger.wrap(stream), address))
        });
    }
}

/// What an accept loop waits for.
enum Next<New, Done> {
    New(New),
    Done(Done),
}

impl<L> Listener for TlsLingerListener<L>
where
    L: Listener<Io: Transport, Addr: 'static>,
{
    type Io = LingerIo<TlsStream<L::Io>>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let next = {
                let Self { listener, handshakes, .. } = self;
                let mut accept = pin!(listener.accept());
                poll_fn(|cx| {
                    while let Poll::Ready(Some(handshake)) = handshakes.poll_join_next(cx) {
                        if let Ok(Some(accepted)) = handshake {
                            return Poll::Ready(Next::Done(accepted));
                        }
                    }
                    accept.as_mut().poll(cx).map(Next::New)
                })
                .await
            };
            match next {
                Next::Done(accepted) => return accepted,
                Next::New((io, address)) => self.start(io, address),
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl<L: Listener<Io: Transport> + fmt::Debug> fmt::Debug for TlsLingerListener<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsLingerListener")
            .field("listener", &self.listener)
            .field("tls", &self.tls)
            .field("handshakes", &self.handshakes.len())
            .finish()
    }
}
