//! What the server's system tells it of its connections. Linux tells most, so the absence elsewhere is
//! tested, too: no report claims what nobody knows, and no policy gets a setting that would do nothing.

use std::io::Write;

use crate::row::note;
use crate::server::{GET, Server, read_all};

/// The report of a close whose client has read everything, and then closes or is silent.
fn report_of_a_get(server: &mut Server, closes: bool) -> String {
    let mut client = server.connect();
    client.write_all(GET).expect("loopback");
    read_all(&mut client).expect("a FIN, and no reset");
    let _open = (!closes).then_some(client);
    server.line()
}

#[test]
fn unacknowledged_bytes_are_counted_on_linux_and_not_invented_elsewhere() {
    let mut server = Server::start("layered");
    let report = report_of_a_get(&mut server, true);
    let unacked = report.split(" unacked=").nth(1).and_then(|rest| rest.split(' ').next());
    if server.is_for_linux {
        assert_eq!(unacked, Some("0"), "{report}");
        note("unacked", true);
    } else if server.system == "linux" || server.system == "windows" {
        assert_eq!(unacked, Some("-"), "{report}");
        note("unacked", false);
    }
}

#[test]
fn settings_that_need_linux_are_refused_elsewhere() {
    let mut server = Server::start("linux_only");
    let lines = [server.line(), server.line()];
    if server.system == "linux" {
        assert_eq!(lines, ["built", "built"]);
    } else {
        let refusal = |field| format!("{field} needs Linux: leave it out on this system");
        assert_eq!(lines, ["early_release", "orphan_timeout"].map(refusal));
        note("early_release", false);
        note("orphan bound", false);
    }
}

#[test]
fn an_early_release_needs_the_kernels_word_and_else_the_drain_ends_by_its_bounds() {
    let mut server = Server::start("linux_only");
    if server.line() == "built" {
        server = Server::start("early_release");
        let report = report_of_a_get(&mut server, false);
        assert!(report.starts_with(if server.is_for_linux { "Qd--" } else { "Id--" }), "{report}");
        note("early_release", server.is_for_linux);
    }
}
