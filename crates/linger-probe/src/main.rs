//! The command: `linger-probe check URL …`, and its siblings.

mod command;
#[cfg(unix)]
mod compare;
mod servers;
#[cfg(target_os = "linux")]
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use linger_probe::shown::{escaped, escaped_lines};

use crate::command::{Command, CommandError};

/// Judges how any HTTP server ends its connections: does it lose responses, alerts or `close_notify` when it
/// closes?
#[derive(Debug, Parser)]
#[command(name = "linger-probe", version, propagate_version = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(help) if !help.use_stderr() => help.exit(),
        // The message quotes the arguments.
        Err(wrong) => {
            eprint!("{}", escaped_lines(&wrong.render().to_string()));
            return ExitCode::from(COULD_NOT_RUN);
        }
    };
    let result = match args.command {
        Command::Check(args) => command::check::main(&args).await,
        Command::Load(args) => command::load::main(&args).await,
        #[cfg(unix)]
        Command::Compare(args) => command::compare::main(&args).await,
        #[cfg(unix)]
        Command::Restart(args) => command::restart::main(&args).await,
        Command::Read(args) => command::read::main(&args).await,
        #[cfg(target_os = "linux")]
        Command::Watch(args) => command::watch::main(&args).await,
        Command::Demo(args) => command::demo::main(&args).await,
        Command::Serve(args) => command::serve::main(&args).await,
        Command::Scenarios => command::scenarios(),
        Command::Completions(args) => command::shell::completions(&args, Args::command()),
        Command::Man(args) => command::shell::man(&args, Args::command()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(CommandError(line)) => {
            eprintln!("error: {}", escaped(&line));
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

/// Exit status: a server failed a scenario, or lost a response.
const FAILED: u8 = 1;
/// Exit status: the command could not run. It is also clap's for a wrong option.
const COULD_NOT_RUN: u8 = 2;
