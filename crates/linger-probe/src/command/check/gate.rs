//! Options that decide which failures make the run fail.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use linger_probe::baseline::Baseline;
use linger_probe::error::Error;
use linger_probe::model::gate::Gate;
use linger_probe::model::{Severity, TargetReport};
use linger_probe::remedy::Server;

/// Which failures make a build fail.
#[derive(Debug, Args)]
pub(crate) struct GateArgs {
    /// Counts only failures of at least this severity: without one, the exit status is 0.
    #[arg(
        long,
        value_enum,
        value_name = "SEVERITY",
        default_value_t = FailOn::LosesResponses,
        help_heading = "Output"
    )]
    fail_on: FailOn,
    /// The `--format json` of an earlier run. Rows that failed then do not count; new failures do. The report
    /// lists both, and the rows that pass again.
    #[arg(long, value_name = "FILE.json", help_heading = "Output")]
    baseline: Option<PathBuf>,
}

/// The severities, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// A client that does nothing wrong loses a response.
    LosesResponses,
    /// Or a client misses a message of the protocol, such as `close_notify`.
    BreaksProtocol,
    /// Or a client can hold on to the server's sockets.
    CanBeHeldOpen,
    /// Or the server could be gentler: any failure.
    Harsh,
}

impl From<FailOn> for Severity {
    fn from(fail_on: FailOn) -> Self {
        match fail_on {
            FailOn::LosesResponses => Self::LosesResponses,
            FailOn::BreaksProtocol => Self::BreaksProtocol,
            FailOn::CanBeHeldOpen => Self::CanBeHeldOpen,
            FailOn::Harsh => Self::Harsh,
        }
    }
}

impl GateArgs {
    /// Reads the earlier run, before any server is contacted.
    pub(super) fn baseline(&self) -> Result<Option<Baseline>, Error> {
        self.baseline.as_deref().map(Baseline::read).transpose()
    }

    pub(super) fn gate(&self, baseline: Option<Baseline>, targets: &[TargetReport]) -> Gate {
        let baseline = baseline.map(|baseline| baseline.compare(targets));
        Gate { fail_on: self.fail_on.into(), baseline }
    }
}

/// Reads the name of a kind of server for which changes are known.
pub(super) fn server() -> impl TypedValueParser<Value = Server> {
    PossibleValuesParser::new(Server::ALL.map(Server::key)).try_map(|key| {
        let named = |server: &Server| server.key() == key;
        Server::ALL.into_iter().find(named).ok_or("not a server for which changes are known")
    })
}
