//! What a server accepts connections from.

use std::fmt::Debug;
use std::io;
use std::task::{Context, Poll};

use tokio::net::TcpListener;

use crate::transport::Transport;

/// Accepts the connections of a [`serve`](crate::serve()): a tokio listener, or one of your own around it.
///
/// ```
/// use std::io;
/// use std::net::SocketAddr;
/// use std::task::{Context, Poll, ready};
/// use tokio::net::{TcpListener, TcpStream};
/// use tower_linger::Listener;
///
/// /// Accepts only from this host.
/// struct Local(TcpListener);
///
/// impl Listener for Local {
///     type Io = TcpStream;
///     type Address = SocketAddr;
///
///     fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
///         loop {
///             match ready!(self.0.poll_accept(cx)) {
///                 Ok((_, address)) if !address.ip().is_loopback() => continue,
///                 accepted => return Poll::Ready(accepted),
///             }
///         }
///     }
/// }
/// ```
pub trait Listener: Send + 'static {
    /// An accepted connection.
    type Io: Transport;
    /// Where it comes from.
    type Address: Clone + Debug + Send + Sync + 'static;

    /// Accepts the next connection.
    ///
    /// # Errors
    ///
    /// Those of accepting. The server survives them: see [`serve`](crate::serve()).
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Io, Self::Address)>>;

    /// Lets no further client connect while `refuses` is set; those whose handshake has begun still come in.
    /// Returns whether the system can do that. The default cannot. A listener around another one passes it
    /// on.
    ///
    /// A socket that is closed while it listens resets what the kernel has accepted and the server has not.
    /// So the server sets this when it stops, accepts what is left, and [closes](Self::close) the listener.
    /// It takes it back when it starts, too: whoever had the socket before may have been killed in between.
    fn set_refuses_new(&mut self, refuses: bool) -> bool {
        let _ = refuses;
        false
    }

    /// Drops the listener, and lets clients connect again, for the case that other processes have the same
    /// socket. A client that connects in between is reset if there are none, so there should be as little in
    /// between as possible. A listener around another one passes this on, too.
    fn close(mut self)
    where
        Self: Sized,
    {
        self.set_refuses_new(false);
    }
}

/// Around a listener whose socket other processes listen on, too: workers that are forked, systemd's socket
/// activation, a successor that has inherited the descriptor. Such a socket goes on when this process closes
/// it, with its queue, so it need not [refuse](Listener::set_refuses_new) clients, not even for the moment in
/// which the server stops.
#[derive(Debug)]
pub struct SharedListener<L>(pub L);

impl<L: Listener> Listener for SharedListener<L> {
    type Io = L::Io;
    type Address = L::Address;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Io, Self::Address)>> {
        self.0.poll_accept(cx)
    }
}

/// Around a listener whose socket no other process has, and none will have. A server that stops closes it
/// while it still [refuses](Listener::set_refuses_new) clients. Around a plain `TcpListener` it lets them
/// connect again right before it closes the socket, because it cannot know who else has it. A client that
/// connects between these two steps is reset: on a busy machine, about one of some hundred restarts costs a
/// request.
#[derive(Debug)]
pub struct ExclusiveListener<L>(pub L);

impl<L: Listener> Listener for ExclusiveListener<L> {
    type Io = L::Io;
    type Address = L::Address;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Io, Self::Address)>> {
        self.0.poll_accept(cx)
    }

    fn set_refuses_new(&mut self, refuses: bool) -> bool {
        self.0.set_refuses_new(refuses)
    }

    fn close(self) {}
}

/// The connections get `TCP_NODELAY`, as nginx's do: a response that leaves in two parts must not wait for a
/// delayed acknowledgement of the first. On Linux the listener refuses by a socket filter
/// (`SO_ATTACH_FILTER`), so a filter of your own on it is lost.
impl Listener for TcpListener {
    type Io = tokio::net::TcpStream;
    type Address = std::net::SocketAddr;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Io, Self::Address)>> {
        let accepted = std::task::ready!(TcpListener::poll_accept(self, cx))?;
        // It fails where the client has gone already; the first read will tell.
        let _ = accepted.0.set_nodelay(true);
        Poll::Ready(Ok(accepted))
    }

    fn set_refuses_new(&mut self, refuses: bool) -> bool {
        crate::transport::drop_new_handshakes(self, refuses)
    }

    /// The runtime forgets the socket first, because that takes longer than the two system calls that are
    /// left.
    fn close(self) {
        if let Ok(listener) = self.into_std() {
            crate::transport::drop_new_handshakes(&listener, false);
        }
    }
}

#[cfg(unix)]
impl Listener for tokio::net::UnixListener {
    type Io = tokio::net::UnixStream;
    type Address = tokio::net::unix::SocketAddr;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Io, Self::Address)>> {
        tokio::net::UnixListener::poll_accept(self, cx)
    }
}
