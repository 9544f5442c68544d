//! What the kernel holds for the connections of a port, as `ss` of iproute2 tells it.

use std::process::Command;

/// One connection of a local port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Socket {
    /// Its TCP state, in the words of `ss`: `ESTAB`, `FIN-WAIT-1`.
    pub state: String,
    /// Whether a process has it. Otherwise it is an orphan, or waits to be accepted.
    pub has_process: bool,
    /// Bytes that have arrived and were not read.
    pub unread: u64,
    /// Bytes that were sent and not acknowledged, or not sent yet; the FIN counts as one.
    pub unacknowledged: u64,
    /// Memory of what was not read, in bytes, with what the kernel needs around it.
    pub receive_memory: u64,
    /// Memory of what is not acknowledged.
    pub send_memory: u64,
}

/// The connections of these local ports, but those in `TIME_WAIT`.
///
/// # Panics
///
/// If there is no `ss`.
#[must_use]
pub fn connections(ports: &[u16]) -> Vec<Socket> {
    let filter: Vec<String> = ports.iter().map(|port| format!("sport = :{port}")).collect();
    let ss = Command::new("ss")
        .args(["-tmneH", "state", "connected", "exclude", "time-wait"])
        .arg(format!("( {} )", filter.join(" or ")))
        .output()
        .unwrap_or_else(|error| panic!("ss does not start ({error}): `make needs` installs it"));
    assert!(ss.status.success(), "{}", String::from_utf8_lossy(&ss.stderr));
    parse(&String::from_utf8_lossy(&ss.stdout))
}

/// Each connection is a line, and below it an indented one with its memory where it has any.
fn parse(said: &str) -> Vec<Socket> {
    let mut found: Vec<Socket> = Vec::new();
    for line in said.lines() {
        if line.starts_with(char::is_whitespace) {
            let memory = line.split_once("skmem:(").map_or("", |(_, memory)| memory);
            let of = |key: &str| {
                let digits = memory.split([',', ')']).find_map(|part| {
                    part.strip_prefix(key).filter(|digits| digits.starts_with(|it: char| it.is_ascii_digit()))
                });
                digits.map_or(0, |digits| digits.parse().expect("a number"))
            };
            if let Some(socket) = found.last_mut() {
                (socket.receive_memory, socket.send_memory) = (of("r"), of("w"));
            }
            continue;
        }
        let mut columns = line.split_whitespace();
        let state = columns.next().unwrap_or_default().to_owned();
        let mut number = || columns.next().and_then(|column| column.parse().ok()).unwrap_or_default();
        let (unread, unacknowledged) = (number(), number());
        let has_process = line.contains(" ino:") && !line.contains(" ino:0 ");
        found.push(Socket { state, has_process, unread, unacknowledged, ..Socket::default() });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owned_connection_and_an_orphan_are_told_apart() {
        let said = "\
ESTAB      1000 2 127.0.0.1:8080 127.0.0.1:53744 ino:33550 sk:4d cgroup:/ <->
\t skmem:(r1832,rb131072,t0,tb3939840,f2264,w7,o0,bl0,d0)
FIN-WAIT-1 0    9 127.0.0.1:8080 127.0.0.1:53746 timer:(on,1.2s,3) ino:0 sk:4e <->
\t skmem:(r0,rb131072,t0,tb2626560,f2560,w1280,o0,bl0,d0)
FIN-WAIT-2 0    0 127.0.0.1:8080 127.0.0.1:53748 timer:(timewait,59sec,0) ino:0 sk:4f
";
        let [owned, orphan, small] = parse(said).try_into().expect("three");
        assert!(owned.has_process && !orphan.has_process && !small.has_process);
        assert_eq!((owned.unread, owned.unacknowledged), (1000, 2));
        assert_eq!((owned.receive_memory, owned.send_memory), (1832, 7));
        assert_eq!(
            (orphan.state.as_str(), orphan.unacknowledged, orphan.send_memory),
            ("FIN-WAIT-1", 9, 1280)
        );
        assert_eq!(small, Socket { state: "FIN-WAIT-2".into(), ..Socket::default() });
    }
}
