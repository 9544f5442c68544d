//! A whole server ends when it is asked to, and its counts add up.

use std::env;
use std::io::{Read, Write};
use std::process::Command;

use crate::row::note;
use crate::server::{GET, Server, read_all};

/// The ways to ask a server to end: none is a line on its standard input, and each other one a command,
/// which its process's number follows. `ENDINGS_EVENT` names the command that sends a console event, by its
/// number.
fn ways_to_ask() -> Vec<Option<String>> {
    let signals = match env::var("ENDINGS_EVENT") {
        // Ctrl-C, Ctrl-Break, the console's end, the system's end.
        Ok(command) => [0, 1, 2, 6].map(|event| Some(format!("{command} {event}"))).to_vec(),
        Err(_) if cfg!(unix) => ["kill -INT", "kill -TERM"].map(|kill| Some(kill.to_owned())).to_vec(),
        // Windows itself has no program that sends one.
        Err(_) => Vec::new(),
    };
    [None].into_iter().chain(signals).collect()
}

fn ask(server: &mut Server, way: Option<&str>) {
    let Some(command) = way else { return server.ask() };
    let mut words = command.split_whitespace();
    let mut command = Command::new(words.next().expect("a program"));
    let status = command.args(words).arg(&server.process).status();
    assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "{command:?}: {status:?}");
}

/// Sends this request, and waits until its handler runs.
fn request<C: Read + Write>(server: &mut Server, mut client: C, path: &str) -> C {
    write!(client, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("loopback");
    assert_eq!(server.line(), format!("handling {path}"));
    client
}

/// Has one response, and stays open without a request.
fn idle<C: Read + Write>(mut client: C) -> C {
    client.write_all(GET).expect("loopback");
    let mut answer = Vec::new();
    while !answer.ends_with(b"that is all") {
        let mut byte = [0];
        client.read_exact(&mut byte).expect("the whole response");
        answer.push(byte[0]);
    }
    client
}

fn assert_ends_whole<C: Read + Write>(scene: &str, way: Option<&str>, connect: impl Fn(&Server) -> C) {
    let mut server = Server::start(scene);
    drop(idle(connect(&server)));
    let report = server.line();
    assert!(report.starts_with('P'), "{report}");
    let mut idle = idle(connect(&server));
    let client = connect(&server);
    let mut slow = request(&mut server, client, "/slow");

    ask(&mut server, way);
    let answer = read_all(&mut slow).expect("a clean end");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("that is all"), "{way:?}: {answer}");
    assert_eq!(read_all(&mut idle).expect("a clean end"), "", "{way:?}");
    drop((slow, idle));
    let reports = [server.line(), server.line()];
    assert!(reports.iter().all(|report| report.starts_with('P')), "{way:?}: {reports:?}");
    assert_eq!(server.line(), "3 closed: peer_closed 3", "{way:?}");
    assert!(server.wait().success(), "{way:?}");
}

#[test]
fn each_way_to_ask_lets_requests_end_and_the_counts_add_up() {
    let ways = ways_to_ask();
    for way in &ways {
        assert_ends_whole("whole", way.as_deref(), Server::connect);
    }
    assert_ends_whole("whole_tls", None, Server::connect_tls);
    note("shutdown summary", true);
    if ways.len() > 1 {
        note("signals", true);
    }
}

#[test]
fn asked_twice_the_server_cuts_what_is_left() {
    // The first three: the end of a console and the end of a system come only once.
    for way in ways_to_ask().into_iter().take(3) {
        let mut server = Server::start("whole");
        let mut idle = idle(server.connect());
        let client = server.connect();
        let mut never = request(&mut server, client, "/never");
        ask(&mut server, way.as_deref());
        // The first one has been heard.
        assert_eq!(read_all(&mut idle).expect("a clean end"), "", "{way:?}");
        drop(idle);
        assert!(server.line().starts_with('P'), "{way:?}");
        ask(&mut server, way.as_deref());
        // No client takes an end without a response for one, so it need not be a reset.
        assert_eq!(read_all(&mut never).ok().as_deref(), Some(""), "{way:?}");
        assert!(server.line().starts_with('D'), "{way:?}");
        assert_eq!(server.line(), "2 closed: peer_closed 1, shutdown_cut 1", "{way:?}");
        assert!(server.wait().success(), "{way:?}");
    }
}

#[test]
fn at_its_deadline_the_server_cuts_what_is_left() {
    let mut server = Server::start("whole_short");
    let client = server.connect();
    let mut never = request(&mut server, client, "/never");
    ask(&mut server, None);
    assert_eq!(read_all(&mut never).ok().as_deref(), Some(""));
    assert!(server.line().starts_with('D'));
    assert_eq!(server.line(), "1 closed: shutdown_cut 1");
    assert!(server.wait().success());
    note("shutdown summary", true);
}
