//! What could take the whole process along, each tried in a process of its own: this binary once more.

use std::fs;
use std::net::Shutdown;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::mpsc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tower_linger::{ClosePolicy, LingerLayer, Outcome, Release};

use super::pair;

/// Set in the process that a test starts, to what it is to try.
const CHILD: &str = "TRANSPORTS_CHILD";

fn child_of() -> Option<String> {
    std::env::var(CHILD).ok()
}

/// Runs a test of this binary once more, as a child, with a library loaded before all others.
fn run(test: &str, child: &str, preloaded: Option<&Path>) -> Output {
    let mut command = Command::new(std::env::current_exe().expect("known"));
    command.args(["--exact", test, "--nocapture"]).env(CHILD, child).env_remove("RUST_BACKTRACE");
    if let Some(library) = preloaded {
        command.env("LD_PRELOAD", library);
    }
    let output = command.output().expect("it was started just now");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    output
}

thread_local! {
    /// Dropped when its thread ends, after the thread's other values or before them.
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
}

#[test]
fn a_runtime_that_ends_with_its_thread_reports_and_counts_its_closes() {
    let Some(_) = child_of() else {
        run("processes::a_runtime_that_ends_with_its_thread_reports_and_counts_its_closes", "1", None);
        return;
    };
    // On a thread that has closed a connection before, there are more values of the thread to be dropped.
    for closes_before in [0, 1] {
        let (reports, seen) = mpsc::channel();
        let linger = LingerLayer::default().on_close(move |report| {
            let _ = reports.send(report.outcome);
        });
        let tracker = linger.tracker().clone();
        let thread = std::thread::spawn(move || {
            RUNTIME.with(|runtime| {
                runtime.block_on(async {
                    for _ in 0..closes_before {
                        let (client, server) = pair().await;
                        drop(linger.wrap(server));
                        drop(client);
                        linger.tracker().wait().await;
                    }
                    let (client, server) = pair().await;
                    drop(linger.wrap(server));
                    // The close is in its drain: the FIN has come.
                    let mut client = client;
                    assert_eq!(client.read(&mut [0; 1]).await.expect("FIN"), 0);
                    client.into_std().expect("a socket")
                })
            })
        });
        let client = thread.join().expect("no panic");
        for _ in 0..closes_before {
            assert_eq!(seen.try_recv().expect("reported"), PEER_CLOSED);
        }
        assert_eq!(seen.try_recv().expect("reported at the thread's end"), Outcome::Cancelled);
        assert!(tracker.is_empty());
        assert_eq!(tracker.summary().count(Outcome::Cancelled), 1);
        client.shutdown(Shutdown::Both).expect("connected");
    }
}

const PEER_CLOSED: Outcome = Outcome::PeerClosed { close_notify: false };

/// What a kernel of old, or an imitation of one, answers to `TCP_INFO`.
const SHORT_TCP_INFO: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

int getsockopt(int socket, int level, int name, void *value, socklen_t *length) {
    int (*real)(int, int, int, void *, socklen_t *) = dlsym(RTLD_NEXT, "getsockopt");
    if (level == IPPROTO_TCP && name == TCP_INFO && *length > 104)
        *length = 104;
    return real(socket, level, name, value, length);
}
"#;

/// Nobody asks where the system is not Linux.
#[cfg(not(tower_linger_portable))]
#[test]
fn a_short_tcp_info_costs_what_it_would_tell_and_nothing_else() {
    const NAME: &str = "processes::a_short_tcp_info_costs_what_it_would_tell_and_nothing_else";
    if let Some(child) = child_of() {
        let runtime = Builder::new_current_thread().enable_all().build();
        return runtime.expect("a runtime").block_on(closes_that_ask(child == "short"));
    }
    let directory = tempfile::tempdir().expect("there is room");
    let (source, library) = (directory.path().join("short.c"), directory.path().join("short.so"));
    fs::write(&source, SHORT_TCP_INFO).expect("there is room");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(built.expect("Rust's linker is there").success());

    let panics = |output: Output| String::from_utf8_lossy(&output.stderr).matches("panicked at").count();
    assert_eq!(panics(run(NAME, "whole", None)), 0);
    // The first one is caught, and nobody asks again.
    assert_eq!(panics(run(NAME, "short", Some(&library))), 1);
}

async fn closes_that_ask(is_short: bool) {
    let (reports, seen) = mpsc::channel();
    let short = Duration::from_secs(1);
    let policy =
        ClosePolicy::builder().early_release(2).drain_idle_timeout(short).build().expect("makes sense");
    let linger = LingerLayer::new(policy).on_close(move |report| {
        let _ = reports.send(*report);
    });

    // An early release, with a client that stays: without a word of the kernel's, it waits as it would otherwise.
    let (client, server) = pair().await;
    drop(linger.wrap(server));
    linger.tracker().wait().await;
    let report = seen.try_recv().expect("reported");
    let expected = if is_short { (Outcome::DrainIdle, None) } else { (Outcome::Acknowledged, Some(0)) };
    assert_eq!((report.outcome, report.unacked), expected);
    drop(client);

    // A response that only the connection's end delimits is cut: a RST, when the client has what was sent.
    let (mut client, server) = pair().await;
    let mut io = linger.wrap(server);
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.expect("loopback");
    io.read_exact(&mut [0; 18]).await.expect("loopback");
    io.write_all(b"HTTP/1.0 200 OK\r\n\r\nhalf").await.expect("loopback");
    io.abort();
    let mut received = Vec::new();
    let error = client.read_to_end(&mut received).await.expect_err("reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(received.ends_with(b"half"));
    linger.tracker().wait().await;
    let report = seen.try_recv().expect("reported");
    assert_eq!((report.outcome, report.release), (Outcome::Aborted, Release::Abort));
    assert_eq!(report.unacked, if is_short { None } else { Some(0) });
}
