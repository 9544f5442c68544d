//! Decides where the ladders of a check come from.

use std::net::SocketAddr;

#[cfg(target_os = "linux")]
use crate::ladder::ladder;
use crate::model::{Event, Ladders};
#[cfg(target_os = "linux")]
use crate::route::Via;
use crate::target::{Options, Target};

/// Packets if the options ask for them and the system allows it, otherwise what the client's socket noticed.
pub(crate) struct Source {
    #[cfg(target_os = "linux")]
    capture: Option<linger_wire::Capture>,
}

#[cfg(target_os = "linux")]
impl Source {
    pub(crate) fn open(target: &Target, options: &Options) -> Self {
        let start = || linger_wire::Capture::start_compact(target.address).ok();
        // A Unix socket has no packets, and with the PROXY protocol the data does not begin with a TLS
        // record.
        let is_seen = target.via == Via::Tcp && (target.tls.is_none() || target.proxy_protocol.is_none());
        Self { capture: (options.wire && is_seen).then(start).flatten() }
    }

    pub(crate) fn ladders(&self) -> Ladders {
        if self.capture.is_some() { Ladders::Packets } else { Ladders::SocketEvents }
    }

    /// The ladder of this client's connection. `noticed` is what its socket saw.
    pub(crate) fn ladder(&self, client: Option<SocketAddr>, noticed: Vec<Event>) -> Vec<Event> {
        match (&self.capture, client) {
            (Some(capture), Some(client)) => ladder(&capture.events_of(client), &noticed),
            (Some(_), None) => Vec::new(),
            (None, _) => noticed,
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Source {
    pub(crate) fn open(_: &Target, _: &Options) -> Self {
        Self {}
    }

    pub(crate) fn ladders(&self) -> Ladders {
        Ladders::SocketEvents
    }

    pub(crate) fn ladder(&self, _: Option<SocketAddr>, noticed: Vec<Event>) -> Vec<Event> {
        noticed
    }
}
