//! What the namespace's kernel holds for the server.

use tower_linger_tests::counters::Counters;
use tower_linger_tests::sockets::connections;

use crate::plan::{PLAIN, TLS};

/// What the kernel holds for the server's connections.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Kernel {
    /// Memory of what has arrived and was not read, in bytes.
    pub(crate) receive: u64,
    /// Memory of what was sent and is not acknowledged, or not sent yet, in bytes.
    pub(crate) send: u64,
    /// Connections that the process has, or that wait to be accepted.
    pub(crate) sockets: u64,
    /// Connections that the process has released, and whose response or FIN is not acknowledged.
    pub(crate) orphans: u64,
    /// Connections that the queue of accepted ones had no room for, since the namespace began.
    pub(crate) overflows: i64,
    /// How often the kernel was short of memory for TCP, since the namespace began.
    pub(crate) pressures: i64,
}

impl Kernel {
    pub(crate) fn look() -> Self {
        let counters = Counters::read();
        let mut found = Self {
            overflows: counters.get("TcpExtListenOverflows"),
            pressures: counters.get("TcpExtTCPMemoryPressures"),
            ..Self::default()
        };
        for socket in connections(&[PLAIN.port(), TLS.port()]) {
            found.receive += socket.receive_memory;
            found.send += socket.send_memory;
            let is_open = socket.has_process || socket.state == "ESTAB";
            found.sockets += u64::from(is_open);
            found.orphans += u64::from(!is_open && socket.state != "FIN-WAIT-2");
        }
        found
    }
}
