//! Runs the programs of others.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

/// A program that takes longer is killed, and the test fails.
const BOUND: Duration = Duration::from_secs(100);

/// A program that ends when its value is dropped, or when this process ends.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", name]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs it to its end.
pub(crate) async fn run(command: &mut Command) -> Output {
    let output = tokio::time::timeout(BOUND, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{command:?} takes longer than {BOUND:?}"));
    let output = output.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    // Shown if the test fails: the clients print their errors there.
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.code() != Some(127), "{command:?} is not here: `make needs` installs it");
    output
}

/// Starts a server, whose output nobody reads.
pub(crate) fn start(command: &mut Command) -> Child {
    let child = command.stdout(Stdio::null()).spawn();
    child.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"))
}

/// A file of this test.
pub(crate) fn source(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", name].iter().collect()
}

/// The Python for which `make judges` has installed libraries.
pub(crate) fn python() -> String {
    std::env::var("JUDGES_PYTHON").unwrap_or_else(|_| panic!("run this by `make judges`"))
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
