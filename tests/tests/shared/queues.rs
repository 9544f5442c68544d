//! The kernel's queues of TCP sockets on 127.0.0.1, as `/proc/net/tcp` shows them.

/// The connections of a local port: the peer's port, bytes that the peer has not acknowledged, and bytes that
/// nobody has read.
pub(crate) fn queues(local_port: u16) -> Vec<(u16, usize, usize)> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("procfs is there");
    let local = format!("0100007F:{local_port:04X}");
    let number = |digits: &str| usize::from_str_radix(digits, 16).expect("hexadecimal");
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[1] == local && row[3] != LISTENING)
        .map(|row| {
            let (_, peer) = row[2].split_once(':').expect("an address and a port");
            let (unacknowledged, unread) = row[4].split_once(':').expect("two queues");
            (u16::from_str_radix(peer, 16).expect("a port"), number(unacknowledged), number(unread))
        })
        .collect()
}

/// `TCP_LISTEN`: its queue holds connections, not bytes.
const LISTENING: &str = "0A";
