//! Runs each test in a network namespace of its own, so that kernel counters, firewall rules and ports
//! belong to one test.
//!
//! A test binary sets `harness = false` and lists its tests:
//!
//! ```no_run
//! async fn closes_cleanly() { /* sockets on 127.0.0.1 and ::1, counters, captures, `nft` */ }
//!
//! linger_wire::wire_tests! {
//!     async fn closes_cleanly;
//! }
//! # // The macro has written `main`.
//! ```
//!
//! Every test is a process: the harness runs its own executable again. That child enters a new namespace
//! while it still has one thread, because a namespace belongs to a thread and later threads inherit it.
//! `cargo test -- NAME`, `--list` and `cargo nextest` work as with the built-in harness.
//!
//! A test run by root gets a plain network namespace and keeps its rights over the kernel. Anyone else gets a
//! user namespace around it, in which the test is root over its own network only. If the system allows
//! neither, the test is reported as ignored, with the reason; under `CI=true` it fails instead, so that no
//! test is skipped unnoticed.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::num::NonZero;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getegid, geteuid};
use rtnetlink::LinkUnspec;

/// A test's name, as filters see it, and its body, which fails by panicking.
pub type Test = (&'static str, fn());

/// Runs the tests that the command line selects, each in a child process with its own network namespace.
///
/// Call it at the start of `main`: the child must not have started a thread before.
#[must_use]
pub fn main(tests: &[Test]) -> ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some(CHILD_FLAG) {
        return child(tests, args.next().as_deref());
    }
    let mut args = Arguments::from_args();
    // Most of the time they wait for a peer, for packets or for a limit, each in a process of its own.
    args.test_threads.get_or_insert_with(|| 2 * thread::available_parallelism().map_or(1, NonZero::get));
    let live = args.nocapture;
    let trials = tests.iter().map(|&(name, _)| Trial::ignorable_test(name, move || run_in_child(name, live)));
    libtest_mimic::run(&args, trials.collect()).exit_code()
}

/// Runs an async test to its end on a runtime of its own with two worker threads.
///
/// # Panics
/// If the test panics, or if the runtime cannot be built.
pub fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a tokio runtime can be built");
    runtime.block_on(test);
    // A blocking task that a test left behind must not delay the end of the process.
    runtime.shutdown_background();
}

/// Writes a `main` that runs the listed functions, sync or async, each in a network namespace of its own.
///
/// See [`netns`](crate::netns).
#[macro_export]
macro_rules! wire_tests {
    (@table [$($done:tt)*]) => { &[$($done)*] };
    (@table [$($done:tt)*] async fn $name:path; $($rest:tt)*) => {
        $crate::wire_tests!(@table
            [$($done)* (stringify!($name), (|| $crate::netns::block_on($name())) as fn()),] $($rest)*)
    };
    (@table [$($done:tt)*] fn $name:path; $($rest:tt)*) => {
        $crate::wire_tests!(@table [$($done)* (stringify!($name), $name as fn()),] $($rest)*)
    };
    ($($list:tt)+) => {
        fn main() -> ::std::process::ExitCode {
            $crate::netns::main($crate::wire_tests!(@table [] $($list)+))
        }
    };
}

/// In the parent: runs this executable again for one test and judges how it ended.
fn run_in_child(name: &str, live: bool) -> Result<Completion, Failed> {
    let mut output = File::from(memfd_create(c"test output", MFdFlags::MFD_CLOEXEC)?);
    let mut command = tokio::process::Command::new(std::env::current_exe()?);
    command.args([CHILD_FLAG, name]).stdin(Stdio::null()).kill_on_drop(true);
    if !live {
        // A file instead of a pipe, so that the harness does not wait for a process that outlives the test.
        // One file for both streams keeps their order.
        command.stdout(output.try_clone()?).stderr(output.try_clone()?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(async {
        let mut child = command.spawn()?;
        match tokio::time::timeout(TIME_BOUND, child.wait()).await {
            Ok(status) => status.map(Some),
            // Sends SIGKILL to the child alone, and waits for it.
            Err(_) => child.kill().await.map(|()| None),
        }
    })?;

    let mut text = Vec::new();
    output.rewind()?;
    output.read_to_end(&mut text)?;
    judge(status, String::from_utf8_lossy(&text).trim_end(), std::env::var("CI").is_ok_and(|ci| ci == "true"))
}

fn judge(status: Option<ExitStatus>, output: &str, ci: bool) -> Result<Completion, Failed> {
    match status {
        None => Err(format!("still running after {TIME_BOUND:?}, killed\n{output}").into()),
        Some(status) if status.success() => Ok(Completion::Completed),
        Some(status) if status.code() == Some(UNAVAILABLE.into()) && !ci => {
            // Terse reporters do not print why a test is ignored.
            eprintln!("ignored: {output}");
            Ok(Completion::ignored_with(output))
        }
        Some(status) => Err(format!("{status}\n{output}").into()),
    }
}

/// In the child: enters the namespace, then runs the test in it.
fn child(tests: &[Test], name: Option<&str>) -> ExitCode {
    let Some((_, test)) = tests.iter().find(|(known, _)| Some(*known) == name) else {
        eprintln!("no test is called {name:?}");
        return ExitCode::FAILURE;
    };
    if let Err(error) = enter_namespace() {
        eprintln!("{error}");
        return ExitCode::from(UNAVAILABLE);
    }
    // Set after entering, because gaining the capabilities of a user namespace clears this setting.
    set_pdeathsig(Signal::SIGKILL).expect("SIGKILL is a signal");
    test();
    ExitCode::SUCCESS
}

fn enter_namespace() -> Result<(), Unavailable> {
    // Read before `unshare`, after which they would be the overflow ids.
    let (uid, gid) = (geteuid(), getegid());
    match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => {}
        Err(Errno::EPERM) => {
            let both = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET;
            unshare(both).map_err(|error| Unavailable::new("creating user and network namespaces", error))?;
            // The kernel accepts a group map from an unprivileged process only once setgroups is off.
            for (file, line) in [
                ("setgroups", "deny".to_owned()),
                ("uid_map", format!("0 {uid} 1")),
                ("gid_map", format!("0 {gid} 1")),
            ] {
                fs::write(format!("/proc/self/{file}"), line)
                    .map_err(|error| Unavailable::new("mapping this user to root in the namespace", error))?;
            }
        }
        Err(error) => return Err(Unavailable::new("creating a network namespace", error)),
    }
    loopback_up().map_err(|error| Unavailable::new("bringing the loopback interface up", error))
}

/// Brings `lo` up, which also gives it `127.0.0.1` and `::1`.
fn loopback_up() -> io::Result<()> {
    // A current-thread runtime, so that the process still has one thread when the test starts.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let connection = tokio::spawn(connection);
        let up = handle.link().set(LinkUnspec::new_with_name("lo").up().build()).execute().await;
        connection.abort();
        up.map_err(io::Error::other)
    })
}

/// Why there is no namespace to run a test in.
#[derive(Debug)]
struct Unavailable {
    step: &'static str,
    cause: io::Error,
}

impl Unavailable {
    fn new(step: &'static str, cause: impl Into<io::Error>) -> Self {
        Self { step, cause: cause.into() }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no network namespace for the test: {}: {}", self.step, self.cause)
    }
}

/// The argument that makes this process the child; the test's name follows. It is not an environment
/// variable, because the programs that tests start would inherit that.
const CHILD_FLAG: &str = "--in-network-namespace";

/// The child's exit code for "no namespace": automake's code for a skipped test.
const UNAVAILABLE: u8 = 77;

/// A test that hangs is killed after this time.
const TIME_BOUND: Duration = Duration::from_secs(120);
