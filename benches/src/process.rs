//! A server in a process of its own, so that its processor time, memory and descriptors are counted without
//! those of its clients.

use std::io::{BufRead, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::ClockId;
use nix::unistd::Pid;
use procfs::process::Process;

/// A server process: this executable with the arguments `serve …`. It first prints its address. It then
/// answers each line of its standard input as soon as no close is under way. It is killed when this is
/// dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    said: BufReader<ChildStdout>,
    asked: ChildStdin,
    /// The address that it listens on.
    pub address: SocketAddr,
}

/// Has a process, or a thread by its id, run on this core only.
///
/// # Panics
///
/// If there is no such core, or it is not ours.
pub fn pin(process: u32, core: usize) {
    affine(Pid::from_raw(process.try_into().expect("a pid")), core);
}

/// Has this thread, and those that it starts, run on this core only.
///
/// # Panics
///
/// If there is no such core.
pub fn pin_this(core: usize) {
    affine(Pid::from_raw(0), core);
}

fn affine(process: Pid, core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core).expect("a core");
    sched_setaffinity(process, &cores).expect("ours, and there are two cores");
}

/// The arguments after `serve`, in the process of a [`Server`].
#[must_use]
pub fn serves() -> Option<Vec<String>> {
    let mut args = std::env::args().skip(1);
    (args.next()? == "serve").then(|| args.collect())
}

impl Server {
    /// Starts a server with these arguments.
    ///
    /// # Panics
    ///
    /// If it does not start, or does not print its address.
    #[must_use]
    pub fn start(args: &[&str]) -> Self {
        Self::start_with(args, &[])
    }

    /// Starts a server with these arguments and environment variables.
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

    /// Waits until no close is under way. Returns the server's answer.
    ///
    /// # Panics
    ///
    /// If it has ended.
    pub fn settle(&mut self) -> String {
        writeln!(self.asked).expect("it reads");
        line(&mut self.said)
    }

    /// Has glibc return what it can to the system.
    ///
    /// # Panics
    ///
    /// If gdb is not installed, or may not do that.
    pub fn trim(&self) {
        let (pid, call) = (self.id().to_string(), "call (int)malloc_trim(0)");
        let gdb =
            Command::new("gdb").args(["-p", &pid, "--batch", "-ex", call]).stdin(Stdio::null()).output();
        let gdb =
            gdb.unwrap_or_else(|error| panic!("gdb does not start ({error}): `make needs` installs it"));
        let said = String::from_utf8_lossy(&gdb.stdout);
        assert!(said.contains("$1 = "), "gdb: {said}{}", String::from_utf8_lossy(&gdb.stderr));
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has loaded this shared library.
    ///
    /// # Panics
    ///
    /// If it has ended.
    #[must_use]
    pub fn has_loaded(&self, library: &str) -> bool {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.id())).expect("it runs");
        maps.contains(library)
    }

    /// The processor time that it has used so far.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        cpu(self.id())
    }

    /// The memory and descriptors that it holds now.
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

/// Raises the limit of descriptors to its maximum, for this process and those that it starts.
///
/// # Panics
///
/// If the maximum is not more than `enough`.
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

/// The processor time that a process has used so far, in nanoseconds.
///
/// # Panics
///
/// If there is no such process.
#[must_use]
pub fn cpu(process: u32) -> Duration {
    let pid = Pid::from_raw(process.try_into().expect("a pid"));
    ClockId::pid_cpu_clock_id(pid).and_then(ClockId::now).expect("it runs").into()
}

/// The memory and descriptors that a process holds now.
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
