//! Reads what a trace shows: how each connection ended, how bad that is, and what helps.
//!
//! `linger_wire::trace` gives the facts of each connection. [`Kind`] sorts connections by their ends,
//! [`judge`] says what deserves a word, and [`Tally`] sums all of them up in bounded memory. Its
//! [`Reading`](model::Reading) is the model that every format is made from.

pub mod filter;
#[cfg(feature = "cli")]
pub mod input;
mod kind;
mod ladder;
pub mod model;
pub mod tally;
pub mod timeline;
mod verdict;
mod worst;

pub use kind::Kind;
pub use tally::Tally;
pub use verdict::{Rule, Severity, Verdict, judge};
