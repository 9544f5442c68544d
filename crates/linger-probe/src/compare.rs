//! Starts servers that people run, each from a small configuration, on free ports of 127.0.0.1. Each has a
//! process group of its own, and is stopped when its value is dropped.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::servers::certs::Certs;

mod known;

pub(crate) use known::ALL;

/// A server, and how it is started.
///
/// Its files and arguments may contain placeholders: `{http}` and `{https}` are its ports, `{folder}` is its
/// own folder, `{ground}` is the folder that all servers share ([`Ground`]), and each name in `settings` is
/// replaced by the value beside it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    /// The names of its program: the first one that is in `PATH` is started. An empty list stands for this
    /// program itself.
    programs: &'static [&'static str],
    /// The files that are written into its folder, such as its configuration: names and contents.
    files: &'static [(&'static str, &'static str)],
    /// Arguments that make the program build the file `server`, which is then started in its place. Empty if
    /// there is nothing to build.
    build: &'static [&'static str],
    args: &'static [&'static str],
    /// Its own placeholders. A value is a function, so that it may depend on this machine.
    settings: &'static [Setting],
    /// Whether it has a large response at `/large`.
    pub(crate) has_large: bool,
}

/// A placeholder's name, and the function that returns its value.
type Setting = (&'static str, fn() -> &'static str);

/// A folder that all servers share: certificates, and a `www` with a small file and a large one.
#[derive(Debug)]
pub(crate) struct Ground {
    folder: TempDir,
    pub(crate) certs: Certs,
}

impl Ground {
    pub(crate) fn make() -> io::Result<Self> {
        let folder = readable_folder()?;
        let www = folder.path().join("www");
        fs::create_dir(&www)?;
        fs::write(www.join("index.html"), "hello\n")?;
        fs::write(www.join("large"), vec![b'.'; 8 << 20])?;
        Ok(Self { certs: Certs::make(folder.path())?, folder })
    }
}

/// A server that is running. Dropping this kills all of its processes.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) http: u16,
    pub(crate) https: u16,
    process: Child,
    group: Pid,
    folder: TempDir,
}

impl Server {
    /// Starts it.
    ///
    /// # Errors
    /// One line that says that it is not installed, or why it does not start.
    pub(crate) async fn start(&self, ground: &Ground) -> Result<Running, String> {
        let program = self.program()?;
        let mut failed = String::new();
        // Another process may have taken a port since it was found to be free.
        for _ in 0..3 {
            match self.try_start(&program, ground).await {
                Ok(running) => return Ok(running),
                Err(why) => failed = why,
            }
        }
        Err(format!("does not start: {failed}"))
    }

    fn program(&self) -> Result<PathBuf, String> {
        if self.programs.is_empty() {
            return std::env::current_exe().map_err(|error| format!("this program is not found: {error}"));
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Servers are often in `sbin`, beside `bin`; the `PATH` of an ordinary user leaves it out.
        let folders: Vec<_> = std::env::split_paths(&path)
            .flat_map(|folder| [folder.with_file_name("sbin"), folder].into_iter().rev())
            .collect();
        let candidates =
            self.programs.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        candidates
            .into_iter()
            .find(|candidate| candidate.is_file())
            .ok_or_else(|| format!("not installed: there is no {} in PATH", self.programs.join(" or ")))
    }

    async fn try_start(&self, program: &Path, ground: &Ground) -> Result<Running, String> {
        let because = |error: io::Error| error.to_string();
        let folder = readable_folder().map_err(because)?;
        let [http, https] = free_ports().map_err(because)?;
        let path = folder.path().display().to_string();
        let filled = |text: &str| {
            let text = text
                .replace("{folder}", &path)
                .replace("{ground}", &ground.folder.path().display().to_string())
                .replace("{http}", &http.to_string())
                .replace("{https}", &https.to_string());
            self.settings
                .iter()
                .fold(text, |text, (name, value)| text.replace(&format!("{{{name}}}"), value()))
        };
        for (name, contents) in self.files {
            fs::write(folder.path().join(name), filled(contents)).map_err(because)?;
        }
        let mut program = program.to_owned();
        if !self.build.is_empty() {
            let args = self.build.iter().map(|arg| filled(arg));
            let built = Command::new(&program).args(args).current_dir(&folder).kill_on_drop(true).output();
            let built =
                timeout(BUILD_BOUND, built).await.map_err(|_| "it takes too long to build".to_owned())?;
            let built = built.map_err(because)?;
            if !built.status.success() {
                return Err(last_words(&built.stderr));
            }
            program = folder.path().join("server");
        }
        let said = folder.path().join("stderr");
        let process = Command::new(program)
            .args(self.args.iter().map(|arg| filled(arg)))
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&said).map_err(because)?)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(because)?;
        let id = process.id().and_then(|id| i32::try_from(id).ok()).ok_or("it has ended")?;
        let mut running = Running { http, https, process, group: Pid::from_raw(id), folder };
        running.listens().await.map(|()| running)
    }
}

impl Running {
    /// Waits until it accepts connections at both of its ports.
    async fn listens(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_BOUND;
        for port in [self.http, self.https] {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
                let ended = self.process.try_wait().map_err(|error| error.to_string())?;
                if ended.is_some() || Instant::now() > deadline {
                    let log = |name: &str| fs::read(self.folder.path().join(name)).unwrap_or_default();
                    return Err(last_words(&[log("log"), log("stderr")].concat()));
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    /// The processor time that its processes have used so far.
    #[cfg(target_os = "linux")]
    pub(crate) fn cpu(&self) -> Option<Duration> {
        let ticks = procfs::process::all_processes()
            .ok()?
            .filter_map(|process| process.ok()?.stat().ok())
            .filter(|stat| stat.pgrp == self.group.as_raw())
            .map(|stat| stat.utime + stat.stime)
            .sum::<u64>();
        Some(Duration::from_millis(ticks * 1000 / procfs::ticks_per_second()))
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn cpu(&self) -> Option<Duration> {
        None
    }

    /// Ends it by SIGTERM, as its administrator would, and waits until it has ended.
    pub(crate) async fn stop(mut self) {
        let _ = killpg(self.group, Signal::SIGTERM);
        let _ = timeout(STOP_BOUND, self.process.wait()).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The group contains the processes that it started, too. An error means that none is left.
        let _ = killpg(self.group, Signal::SIGKILL);
    }
}

/// A temporary folder that every user can read, because some servers read their files as another user.
fn readable_folder() -> io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("linger-probe-").tempdir()?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

fn free_ports() -> io::Result<[u16; 2]> {
    let held = [TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?];
    Ok([held[0].local_addr()?.port(), held[1].local_addr()?.port()])
}

/// The last two lines of a log. Most servers say there what is wrong, and then that they give up.
fn last_words(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.as_slice() {
        [] => "it says nothing".to_owned(),
        lines => lines[lines.len().saturating_sub(2)..].join("; "),
    }
}

const START_BOUND: Duration = Duration::from_secs(20);
/// Long enough for Go, which builds its standard library first.
const BUILD_BOUND: Duration = Duration::from_secs(180);
const STOP_BOUND: Duration = Duration::from_secs(5);
