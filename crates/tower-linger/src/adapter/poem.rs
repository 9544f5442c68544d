//! Adapters for poem (feature `poem`; the TLS ones also need the feature of a TLS library).
//!
//! poem owns the accept loop, so there is no service to put the layer around. Instead its `Listener` wraps
//! the connections, and they are closed when poem drops them, also at the deadline of its graceful shutdown.
//! Before `main` returns, await the layer's [`Tracker`](crate::Tracker), or let
//! [`Shutdown`](crate::Shutdown) do it.
//!
//! ```no_run
//! use poem::{EndpointExt, Route, Server, get, handler, listener::TcpListener};
//! use tower_linger::{LingerLayer, RequestLayer, poem::LingerListener};
//!
//! #[handler]
//! fn hello() -> &'static str {
//!     "hello"
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> std::io::Result<()> {
//! let linger = LingerLayer::default();
//! let listener = LingerListener::new(TcpListener::bind("127.0.0.1:3000"), linger.clone());
//! Server::new(listener).run(Route::new().at("/", get(hello)).with(RequestLayer)).await?;
//! linger.tracker().wait().await;
//! # Ok(()) }
//! ```
//!
//! # What this hook can see
//!
//! The listener sees that a handler panics, and that poem drops a connection without shutting it down. It
//! does not see whether that connection is busy. So such a connection does not end cleanly, since something
//! may have been cut. [`RequestLayer`] is a middleware of poem that sees it: add it last, so that it is
//! outermost and sees the responses that poem makes of errors. It finds its connection by itself.
//!
//! # TLS
//!
//! poem's own TLS listeners hide the stream and its session, so nothing around them could send a
//! `close_notify` or let an alert arrive. Use [`TlsLingerListener`] around the TCP listener instead. The task
//! that serves a connection does its handshake, as with poem's own. A `rustls::ServerConfig` with a
//! certificate resolver of your own changes certificates while the server runs.
//!
//! # Several listeners
//!
//! Combine them after wrapping: `LingerListener::new(one, linger).combine(LingerListener::new(two, linger))`.
//! What poem has combined or boxed before cannot be wrapped.
//!
//! # What poem does not do
//!
//! - An upgraded connection cannot be downcast to [`LingerIo`], because poem boxes every connection. It is
//!   closed properly when it is dropped, all the same.
//! - poem does not let a client half-close (hyper's `half_close`): such a client gets no answer, or a part of
//!   one that does not look complete.
//! - It sets no timeout for the head of a request. Its `idle_timeout` ends idle connections cleanly.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use http::Response;
use http::response::Parts;
use http::uri::Scheme;
use http_body::Body as _;
use http_body_util::combinators::BoxBody;
use poem::listener::{Acceptor, Listener};
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Body, Endpoint, Middleware, Request, ResponseParts};

use crate::http::{Begun, RequestLayer, Requests};
use crate::layer::LingerLayer;
use crate::serve::io::LingerIo;
use crate::transport::Transport;

/// A listener of poem whose connections are closed properly after poem drops them: `TcpListener`,
/// `UnixListener`, or one of your own whose acceptor yields a [`Transport`].
#[derive(Debug, Clone)]
pub struct LingerListener<L> {
    listener: L,
    linger: LingerLayer,
}

impl<L> LingerListener<L> {
    /// Closes the connections of `listener` as `linger` says.
    #[must_use]
    pub fn new(listener: L, linger: LingerLayer) -> Self {
        Self { listener, linger }
    }
}

impl<L> Listener for LingerListener<L>
where
    L: Listener,
    <L::Acceptor as Acceptor>::Io: Transport,
{
    type Acceptor = LingerAcceptor<L::Acceptor>;

    async fn into_acceptor(self) -> io::Result<Self::Acceptor> {
        Ok(LingerAcceptor::new(self.listener.into_acceptor().await?, self.linger))
    }
}

/// An acceptor of poem whose connections are closed properly after poem drops them; for
/// `Server::new_with_acceptor`, with a socket that is bound already.
///
/// # Cancel safety
///
/// `accept` is as cancel safe as the inner acceptor's, because it awaits only that. poem drops it when it is
/// told to stop. Its own acceptors lose nothing then.
#[derive(Debug, Clone)]
pub struct LingerAcceptor<A> {
    acceptor: A,
    linger: LingerLayer,
}

impl<A> LingerAcceptor<A> {
    /// Closes the connections of `acceptor` as `linger` says.
    #[must_use]
    pub fn new(acceptor: A, linger: LingerLayer) -> Self {
        Self { acceptor, linger }
    }
}

impl<A: Acceptor<Io: Transport>> Acceptor for LingerAcceptor<A> {
    type Io = LingerIo<A::Io>;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.acceptor.local_addr()
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        let (io, local, remote, scheme) = self.acceptor.accept().await?;
        Ok((self.linger.wrap(io), local, remote, scheme))
    }
}

type BoxedBody = BoxBody<Bytes, io::Error>;

/// As a middleware of poem: `app.with(RequestLayer)`, outermost.
impl<E: Endpoint> Middleware<E> for RequestLayer {
    type Output = Requests<E>;

    fn transform(&self, endpoint: E) -> Requests<E> {
        Requests::new(endpoint)
    }
}

/// Its output is the response itself, also for errors, because the connection is not idle before that is
/// sent. So a middleware around it sees no errors.
impl<E: Endpoint> Endpoint for Requests<E> {
    type Output = poem::Response;

    async fn call(&self, mut request: Request) -> poem::Result<poem::Response> {
        let body = BoxedBody::from(request.take_body());
        let (method, version, headers) = (request.method(), request.version(), request.headers());
        let begun = Begun::new(method, version, headers, body.is_end_stream());
        request.set_body(Body::from(BoxedBody::new(begun.body(body))));
        let respond = async {
            let response: Response<BoxedBody> = self.get_ref().get_response(request).await.into();
            Ok::<_, Infallible>(response)
        };
        let Ok(response) = begun.respond(respond).await;
        // poem's own conversion would lose the length of the body.
        let (Parts { status, version, headers, extensions, .. }, body) = response.into_parts();
        let head = ResponseParts { status, version, headers, extensions };
        Ok(poem::Response::from_parts(head, Body::from(BoxedBody::new(body))))
    }
}

pub use tls::{TlsLingerAcceptor, TlsLingerListener};

mod tls {
    use std::fmt;
    use std::io;

    use http::uri::Scheme;
    use poem::listener::{Acceptor, Listener};
    use poem::web::{LocalAddr, RemoteAddr};

    use crate::tls::{AcceptTls, TlsAcceptLayer, TlsLingerIo};
    use crate::transport::Transport;

    /// A listener of poem that does TLS. Its connections are closed properly after poem drops them, and so
    /// are those whose handshake failed.
    #[derive(Clone)]
    pub struct TlsLingerListener<L, A> {
        listener: L,
        tls: TlsAcceptLayer<A>,
    }

    impl<L, A> TlsLingerListener<L, A> {
        /// Accepts from `listener`, does the handshake and closes the connections as `tls` says.
        #[must_use]
        pub fn new(listener: L, tls: TlsAcceptLayer<A>) -> Self {
            Self { listener, tls }
        }
    }

    impl<L, A> Listener for TlsLingerListener<L, A>
    where
        L: Listener,
        <L::Acceptor as Acceptor>::Io: Transport,
        A: AcceptTls,
    {
        type Acceptor = TlsLingerAcceptor<L::Acceptor, A>;

        async fn into_acceptor(self) -> io::Result<Self::Acceptor> {
            Ok(TlsLingerAcceptor::new(self.listener.into_acceptor().await?, self.tls))
        }
    }

    /// An acceptor of poem that does TLS, for `Server::new_with_acceptor`. It does not wait for handshakes:
    /// each is done by the task that serves the connection.
    ///
    /// # Cancel safety
    ///
    /// That of the inner acceptor's `accept`.
    #[derive(Clone)]
    pub struct TlsLingerAcceptor<P, A> {
        acceptor: P,
        tls: TlsAcceptLayer<A>,
    }

    impl<P, A> TlsLingerAcceptor<P, A> {
        /// Accepts from `acceptor`, does the handshake and closes the connections as `tls` says.
        #[must_use]
        pub fn new(acceptor: P, tls: TlsAcceptLayer<A>) -> Self {
            Self { acceptor, tls }
        }
    }

    impl<P: Acceptor<Io: Transport>, A: AcceptTls> Acceptor for TlsLingerAcceptor<P, A> {
        type Io = TlsLingerIo<A, P::Io>;

        fn local_addr(&self) -> Vec<LocalAddr> {
            self.acceptor.local_addr()
        }

        async fn accept(&mut self) -> io::Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
            let (io, local, remote, _) = self.acceptor.accept().await?;
            Ok((TlsLingerIo::new(io, &self.tls, None), local, remote, Scheme::HTTPS))
        }
    }

    impl<L: fmt::Debug, A> fmt::Debug for TlsLingerListener<L, A> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let mut shown = f.debug_struct("TlsLingerListener");
            shown.field("listener", &self.listener).field("tls", &self.tls).finish()
        }
    }

    impl<P: fmt::Debug, A> fmt::Debug for TlsLingerAcceptor<P, A> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let mut shown = f.debug_struct("TlsLingerAcceptor");
            shown.field("acceptor", &self.acceptor).field("tls", &self.tls).finish()
        }
    }
}
