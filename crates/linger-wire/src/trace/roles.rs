//! Which side of a connection is the client.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::connection::Roles;
use crate::decode::Tcp;

/// How many connections have which end.
#[derive(Debug, Default)]
pub(super) struct Ends {
    counts: HashMap<SocketAddr, u32>,
}

impl Ends {
    /// Whether the source of a connection's first packet is the client, and how that is known.
    pub(super) fn is_source_client(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        tcp: &Tcp<'_>,
        server_ports: &[u16],
    ) -> (bool, Roles) {
        let (is_client, roles) = if tcp.flags.syn {
            (tcp.ack.is_none(), Roles::Handshake)
        } else {
            let named = |end: SocketAddr| server_ports.contains(&end.port());
            match (named(source), named(destination)) {
                (true, false) => (false, Roles::Port),
                (false, true) => (true, Roles::Port),
                _ => (self.is_likely_client(source, destination), Roles::Guess),
            }
        };
        // Of an end that may be either, the one that more connections share is the server's.
        if roles == Roles::Guess {
            self.count(source);
            self.count(destination);
        } else {
            self.count(if is_client { destination } else { source });
        }
        (is_client, roles)
    }

    fn is_likely_client(&self, source: SocketAddr, destination: SocketAddr) -> bool {
        let count = |end| self.counts.get(&end).copied().unwrap_or(0);
        let (from, to) = (count(source), count(destination));
        if from != to {
            return from < to;
        }
        // Clients get their ports from a range above those that are assigned to services (RFC 6335 §6).
        source.port() >= destination.port()
    }

    fn count(&mut self, end: SocketAddr) {
        if let Some(count) = self.counts.get_mut(&end) {
            *count = count.saturating_add(1);
        } else if self.counts.len() < LIMIT {
            self.counts.insert(end, 1);
        }
    }
}

/// Bounds the memory. Servers have fewer addresses and ports than that, and clients' do not matter.
const LIMIT: usize = 1 << 14;
