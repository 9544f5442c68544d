//! `linger-probe restart`: ends a server while it has clients of each kind.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use clap::{ArgGroup, Args};
use linger_probe::discover::discover;
use linger_probe::model::Report;
use linger_probe::restart::{Plan, restart};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::options::{TargetArgs, path};
use super::output::OutputArgs;
use super::{CommandError, interrupted, seconds, size};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("end").required(true).args(["signal_pid", "command"])))]
#[command(mut_arg("urls", |arg| arg.num_args(1)))]
#[command(mut_arg("timeout", |arg| arg.default_value("30").help(
    "How long all clients may take to be under way, and how long their connections may take to end after the \
     signal, in seconds each"
)))]
pub(crate) struct RestartArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Sends the signal to this process.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..), help_heading = "End")]
    signal_pid: Option<i32>,
    /// The signal to send: TERM, QUIT, HUP, USR2, …
    #[arg(
        long,
        default_value = "TERM",
        value_parser = signal,
        conflicts_with = "command",
        help_heading = "End"
    )]
    signal: Signal,
    /// Runs this command with `sh -c` instead, to end or reload the server: 'systemctl reload nginx'.
    #[arg(long, help_heading = "End")]
    command: Option<String>,
    /// How long a new server may take to answer after that, in seconds.
    #[arg(long, default_value = "2", value_parser = seconds, help_heading = "End")]
    settle: Duration,
    /// The number of clients of each kind.
    #[arg(
        short,
        long,
        default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(1..=100),
        help_heading = "Clients"
    )]
    clients: u32,
    /// The path of the requests in flight, whose response should take some time, such as a second. Without
    /// it, requests follow one another from shortly before the signal to shortly after it.
    #[arg(long, value_parser = path, help_heading = "Clients")]
    slow_path: Option<String>,
    /// The path of uploads, instead of the other requests' path. The server must read them.
    #[arg(long, value_parser = path, help_heading = "Clients")]
    upload_path: Option<String>,
    /// The size of each upload.
    #[arg(long, default_value = "256KiB", value_parser = upload_size, help_heading = "Clients")]
    upload_size: u64,
    /// A path that accepts a WebSocket.
    #[arg(long, value_parser = path, help_heading = "Clients")]
    websocket_path: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Returns whether no request was lost.
pub(crate) async fn main(args: &RestartArgs) -> Result<bool, CommandError> {
    if let Some(pid) = args.signal_pid {
        may_signal(pid)?;
    }
    args.output.prepare()?;
    let options = args.target.options();
    let mut targets = args.target.find(&options).await?.targets;
    let target = targets.first_mut().ok_or_else(|| CommandError("restart takes one URL".to_owned()))?;
    eprintln!("{}: {} clients of each kind, then {}", target.name, args.clients, args.ended_by());
    discover(target, &options).await?;
    let plan = Plan {
        clients: args.clients,
        slow_path: args.slow_path.clone(),
        upload_path: args.upload_path.clone(),
        upload_bytes: args.upload_size,
        websocket_path: args.websocket_path.clone(),
        timeout: options.timeout,
        settle: args.settle,
        ended_by: args.ended_by(),
    };
    let progress = |line: &str| eprintln!("{line}");
    let found = restart(target, &options, &plan, args.end(), interrupted(), progress).await?;
    let (passed, was_interrupted) = (found.passed(), found.interrupted);
    args.output.tell(&Report { restarts: vec![found], ..Report::default() })?;
    if was_interrupted {
        return Err(CommandError("stopped before all connections had ended".to_owned()));
    }
    Ok(passed)
}

impl RestartArgs {
    fn ended_by(&self) -> String {
        match (&self.command, self.signal_pid) {
            (Some(command), _) => format!("`{command}`"),
            (None, pid) => format!("{} to process {}", self.signal.as_str(), pid.unwrap_or_default()),
        }
    }

    async fn end(&self) -> Result<(), String> {
        let Some(command) = &self.command else {
            let pid = Pid::from_raw(self.signal_pid.unwrap_or_default());
            return kill(pid, self.signal).map_err(|error| format!("--signal-pid {pid}: {}", error.desc()));
        };
        let mut shell = tokio::process::Command::new("sh");
        // The command's output is progress, so it goes to stderr: stdout has only the result.
        shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(io::stderr());
        match shell.status().await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("--command '{command}': {status}")),
            Err(error) => Err(format!("--command needs sh: {error}")),
        }
    }
}

/// Checks that the process exists and that this user may signal it.
fn may_signal(pid: i32) -> Result<(), CommandError> {
    let why = match kill(Pid::from_raw(pid), None) {
        Ok(()) => return Ok(()),
        Err(Errno::ESRCH) => "there is no such process".to_owned(),
        Err(Errno::EPERM) => "it belongs to another user: run this as that user, or as root".to_owned(),
        Err(error) => error.desc().to_owned(),
    };
    Err(CommandError(format!("--signal-pid {pid}: {why}")))
}

/// Reads a signal, as `TERM`, `SIGTERM`, `term` or `15`.
fn signal(text: &str) -> Result<Signal, String> {
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    let number = text.parse::<i32>().ok().and_then(|number| Signal::try_from(number).ok());
    number
        .or_else(|| name.parse().ok())
        .ok_or_else(|| "not a signal: use TERM, QUIT, HUP, USR2, INT, KILL, …".to_owned())
}

fn upload_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        bytes @ 16_384.. => Ok(bytes),
        _ => Err("at least 16KiB: a smaller upload would end too soon".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_as_people_write_them() {
        for text in ["TERM", "term", "SIGTERM", "15"] {
            assert_eq!(signal(text), Ok(Signal::SIGTERM), "{text}");
        }
        assert_eq!(signal("usr2"), Ok(Signal::SIGUSR2));
        for text in ["", "SIG", "0", "999", "-1", "TERMINATE"] {
            assert!(signal(text).is_err(), "{text}");
        }
    }
}
