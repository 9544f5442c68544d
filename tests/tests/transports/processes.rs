//! Tests that could abort the whole process run in a child process: this binary, started once more.

use std::net::Shutdown;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::mpsc;

use tokio::io::AsyncReadExt;
use tokio::runtime::{Builder, Runtime};
use tower_linger::{LingerLayer, Outcome};

use super::pair;

/// The environment variable that tells the child process what to try.
const CHILD: &str = "TRANSPORTS_CHILD";

pub(super) fn child_of() -> Option<String> {
    std::env::var(CHILD).ok()
}

/// Runs a test of this binary in a child process, with this library loaded before all others.
pub(super) fn run(test: &str, child: &str, preloaded: Option<&Path>) -> Output {
    let mut command = Command::new(std::env::current_exe().expect("known"));
    command.args(["--exact", test, "--nocapture"]).env(CHILD, child).env_remove("RUST_BACKTRACE");
    if let Some(library) = preloaded {
        command.env("LD_PRELOAD", library);
    }
    let output = command.output().expect("this binary can be started");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("1 passed"), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    output
}

thread_local! {
    /// Dropped when its thread ends, before or after the thread's other locals.
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
}

#[test]
fn a_runtime_that_ends_with_its_thread_reports_and_counts_its_closes() {
    let Some(_) = child_of() else {
        run("processes::a_runtime_that_ends_with_its_thread_reports_and_counts_its_closes", "1", None);
        return;
    };
    // A thread that has closed a connection before has more thread-locals to drop.
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
                    // The FIN shows that the close is in its drain.
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
