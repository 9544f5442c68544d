//! From packets to connections: which there were, and in which of the five ways each of them ended.
//!
//! A TCP connection ends by a normal close, by a reset, by an ICMP error, by a timeout, or by any of these
//! forged on the way. [`Analyser`] takes packets in the order of capture and says of each connection which of
//! them it was, what it cost, and what the trace lacks to know it.

mod analyser;
mod connection;
mod content;
mod doubt;
mod duplicate;
mod end;
mod entry;
mod facts;
mod finding;
mod flow;
mod given_out;
mod half;
mod holes;
mod key;
mod lacks;
mod ladder;
mod looks;
mod open;
mod outcome;
mod packed;
mod reset;
mod roles;
mod table;
mod take;
#[cfg(test)]
mod tests;
mod tls;
mod unreachable;
mod window;

use std::time::Duration;

pub use analyser::{Analyser, Settings};
pub use connection::{Connection, Opening, Roles, Sent};
pub use doubt::Doubt;
pub use end::{Asked, Cause, End, Reset, Sign, Silence, Unreachable, Way};
pub use finding::{Finding, SynAnswer};
pub use tls::{Tls, TlsSide};

/// How long a closed connection is watched for a reset or a new SYN: as long as Linux keeps `TIME_WAIT`.
pub const TIME_WAIT: Duration = Duration::from_secs(60);
