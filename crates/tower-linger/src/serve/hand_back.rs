//! How a connection comes back from its service. The tracker counts it all the time, first as served, then as
//! closing: there is no gap in which a server that waits for its connections could believe that it has none.

use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use linger_proto::Requests;

use crate::close::driver::Close;
use crate::serve::connection::{Connection, Override};
use crate::serve::observed::Observed;
use crate::serve::served::Served;
use crate::transport::Transport;

/// What a future has that waits for its connection: it gets the close. If this is dropped first, the close
/// goes on in a task of its own.
pub(crate) struct Back<T: Transport> {
    connection: Arc<Connection>,
    close: PhantomData<fn() -> T>,
}

impl<T: Transport> Back<T> {
    /// From now on the connection is waited for.
    pub(crate) fn of(connection: &Arc<Connection>) -> Self {
        connection.way_back.begin();
        Self { connection: connection.clone(), close: PhantomData }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The close, once the service has let go of the connection; `None` if it was taken away.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Option<Close<T>>> {
        Poll::Ready(ready!(self.connection.way_back.poll(cx)).and_then(Close::restore))
    }
}

impl<T: Transport> Drop for Back<T> {
    fn drop(&mut self) {
        drop(self.connection.way_back.end().and_then(Close::<T>::restore));
    }
}

/// The service has let go of the connection: its close begins.
pub(super) fn take_back<T: Transport>(io: T, mut observed: Observed, served: Served) {
    let connection = served.connection().clone();
    let wanted = connection.wanted();
    let verdict = observed.verdict(&connection, &wanted);
    let requests = connection.requests();
    let ticket = served.begin_close();
    observed.start.requests = match requests {
        // What else has arrived, against its word, is drained.
        _ if !observed.has_read_all => Requests::Unknown,
        // A container's network goes with its process, and with it what the kernel has yet to send.
        Requests::Over if ticket.is_of_shutdown => Requests::Read { sent_for_ms: 0 },
        known => known,
    };
    let policy = match wanted {
        Override::Policy(policy) => policy,
        Override::None | Override::Abort | Override::Reset => ticket.settings().policy.get(),
    };
    let mut close = Some(Close::new(io, observed.start, verdict, policy, ticket));
    connection.way_back.send(|| close.take().and_then(Close::erase));
    // Nobody waits.
    if let Some(close) = close {
        close.detach();
    }
}
