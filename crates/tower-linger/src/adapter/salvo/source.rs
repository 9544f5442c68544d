//! Where the connections for salvo come from, and which of them its fuse admits.

use std::fmt;
use std::future::Future;
use std::io;

use http::Version;
use http::uri::Scheme;
use salvo_core::conn::tcp::{TcpAcceptor, TcpCoupler};
use salvo_core::conn::{Accepted, ConnCtrl, Holding, SocketAddr, StraightStream};
use salvo_core::fuse::{ArcConnObserver, ArcFusePolicy, FuseAction, FuseConfig, FuseInfo, TransProto};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use crate::transport::Transport;

/// Where the connections come from: salvo's `TcpAcceptor`, or a listener of tokio.
///
/// salvo's own `Acceptor` trait does not serve for this, because it hands connections out inside of a private
/// type.
pub trait Source: Send {
    /// An accepted connection.
    type Io: Transport;

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// Those of the system, if it cannot tell.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// Accepts the next connection. It must be cancel safe.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, SocketAddr)>> + Send;
}

impl Source for TcpAcceptor {
    type Io = TcpStream;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner().local_addr().map(Into::into)
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, SocketAddr)> {
        let (io, address) = self.inner().accept().await?;
        Ok((io, address.into()))
    }
}

impl Source for TcpListener {
    type Io = TcpStream;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self).map(Into::into)
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, SocketAddr)> {
        let (io, address) = TcpListener::accept(self).await?;
        Ok((io, address.into()))
    }
}

#[cfg(unix)]
impl Source for UnixListener {
    type Io = UnixStream;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        UnixListener::local_addr(self).map(Into::into)
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, SocketAddr)> {
        let (io, address) = UnixListener::accept(self).await?;
        Ok((io, address.into()))
    }
}

/// Accepts connections and asks salvo's fuse about each, as salvo's own acceptors do.
pub(super) struct Admission<S: Source> {
    source: S,
    holdings: [Holding; 1],
    /// Accepted, while the fuse decides. A dropped `next` leaves it here.
    undecided: Option<(S::Io, SocketAddr)>,
}

impl<S: Source> Admission<S> {
    pub(super) fn new(source: S, http_scheme: Scheme, http_versions: &[Version]) -> io::Result<Self> {
        let local_addr = source.local_addr()?;
        let holdings = [Holding { local_addr, http_versions: http_versions.to_vec(), http_scheme }];
        Ok(Self { source, holdings, undecided: None })
    }

    pub(super) fn holdings(&self) -> &[Holding] {
        &self.holdings
    }

    /// The next connection that the fuse admits.
    pub(super) async fn next(&mut self, policy: Option<ArcFusePolicy>) -> io::Result<Admitted<S::Io>> {
        loop {
            if self.undecided.is_none() {
                self.undecided = Some(self.source.accept().await?);
            }
            let conn_ctrl = ConnCtrl::new();
            let (fuse, observer) = match (&policy, &self.undecided) {
                (Some(policy), Some((_, remote_addr))) => {
                    let info = FuseInfo {
                        trans_proto: TransProto::Tcp,
                        remote_addr: remote_addr.clone(),
                        local_addr: self.holdings[0].local_addr.clone(),
                    };
                    match policy.decide(&info).await {
                        FuseAction::Accept(fuse) => (Some(fuse), policy.observe(&info, &conn_ctrl)),
                        FuseAction::Reject => {
                            self.undecided = None;
                            continue;
                        }
                    }
                }
                _ => (None, None),
            };
            if let Some((io, remote_addr)) = self.undecided.take() {
                let holding = self.holdings[0].clone();
                return Ok(Admitted { io, remote_addr, holding, fuse, observer, conn_ctrl });
            }
        }
    }
}

impl<S: Source> fmt::Debug for Admission<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("holdings", &self.holdings).finish_non_exhaustive()
    }
}

/// A connection that may be served, and what salvo needs for that.
pub(super) struct Admitted<I> {
    io: I,
    remote_addr: SocketAddr,
    holding: Holding,
    fuse: Option<FuseConfig>,
    observer: Option<ArcConnObserver>,
    conn_ctrl: ConnCtrl,
}

impl<I> Admitted<I> {
    /// What salvo is given: the wrapped connection, inside of the stream that keeps the fuse's timers.
    pub(super) fn accepted<W>(
        self,
        wrap: impl FnOnce(I, Option<FuseConfig>) -> W,
    ) -> Accepted<TcpCoupler<StraightStream<W>>, StraightStream<W>>
    where
        W: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = wrap(self.io, self.fuse);
        Accepted {
            coupler: TcpCoupler::new(),
            stream: StraightStream::new(io, self.fuse, self.conn_ctrl.clone(), self.observer),
            fuse_config: self.fuse,
            conn_ctrl: self.conn_ctrl,
            local_addr: self.holding.local_addr,
            remote_addr: self.remote_addr,
            http_scheme: self.holding.http_scheme,
        }
    }
}
