//! A server in a process of its own, so that what it spends and holds is counted apart from its clients.

use std::io::{BufRead, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::ClockId;
use nix::unistd::Pid;
use procfs::process::Process;

/// A server process: this executable with `serve …`, which first says its address, and answers each line
/// when it has nothing under way. Killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    said: BufReader<ChildStdout>,
    asked: ChildStdin,
    /// Where it listens.
    pub address: SocketAddr,
}

/// The arguments after `serve`, in the process of a [`Server`].
#[must_use]
pub fn serves() -> Option<Vec<String>> {
    let mut args = std::env::args().skip(1);
    (args.next()? == "serve").then(|| args.collect())
}

impl Server {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// If it does not start, or does not say where it listens.
    #[must_use]
    pub fn start(args: &[&str]) -> Self {
        Self::start_with(args, &[])
    }

    /// Starts it in this environment.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start) does.
    #[must_use]
    pub fn start_with(args: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("it runs"))
            .arg("serve")
            .args(args)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut said = BufReader::new(child.stdout.take().expect("piped"));
        let asked = child.stdin.take().expect("piped");
        let address = line(&mut said).parse().expect("an address");
        Self { child, said, asked, address }
    }

    /// Waits until it has nothing under way. Returns what it says then.
    ///
    /// # Panics
    ///
    /// If it has ended.
    pub fn settle(&mut self) -> String {
        writeln!(self.asked).expect("it reads");
        line(&mut self.said)
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it runs with this shared library.
    ///
    /// # Panics
    ///
    /// If it has ended.
    #[must_use]
    pub fn has_loaded(&self, library: &str) -> bool {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.id())).expect("it runs");
        maps.contains(library)
    }

    /// What it has spent so far.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        cpu(self.id())
    }

    /// What it holds now.
    #[must_use]
    pub fn holds(&self) -> Holding {
        holds(self.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets this process have as many descriptors as it may, and those that it starts.
///
/// # Panics
///
/// If these are not enough.
pub fn have_descriptors(enough: u64) {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    assert!(most > enough, "this needs {enough} descriptors, and `ulimit -Hn` is {most}");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("not above the hard limit");
}

/// Memory and descriptors.
#[derive(Debug, Clone, Copy)]
pub struct Holding {
    /// Proportional set size.
    pub bytes: u64,
    /// Open descriptors.
    pub descriptors: u64,
}

/// What a process has spent so far, to the nanosecond.
///
/// # Panics
///
/// If there is no such process.
#[must_use]
pub fn cpu(process: u32) -> Duration {
    let pid = Pid::from_raw(process.try_into().expect("a pid"));
    ClockId::pid_cpu_clock_id(pid).and_then(ClockId::now).expect("it runs").into()
}

/// What a process holds now.
///
/// # Panics
///
/// If there is no such process, or it is another user's.
#[must_use]
pub fn holds(process: u32) -> Holding {
    let process = Process::new(process.try_into().expect("a pid")).expect("it runs");
    let rollup = process.smaps_rollup().expect("Linux");
    let bytes = rollup.memory_map_rollup.iter().filter_map(|map| map.extension.map.get("Pss")).sum();
    Holding { bytes, descriptors: process.fd_count().expect("ours") as u64 }
}

fn line(said: &mut impl BufRead) -> String {
    let mut line = String::new();
    said.read_line(&mut line).expect("a pipe");
    assert!(line.ends_with('\n'), "the server has ended");
    line.trim().to_owned()
}
