#![cfg_attr(docsrs, feature(doc_cfg))]
//! The lingering close of a connection as a sans-I/O state machine.
//!
//! A server that closes a TCP socket while bytes from its peer are unread, or still arriving, makes its
//! kernel send a RST, and the peer loses what it was about to read. RFC 9112 §9.6 describes the cure:
//! half-close, keep reading, then close. This crate decides each of these steps but performs none. It has no
//! socket, clock, runtime or logging, and time is passed in, so it can be model-checked and simulated.
//!
//! ```text
//!             events, now                    actions, next timeout
//! driver ─────────────────▶ CloseMachine ─────────────────────────▶ driver
//! ```
//!
//! [`tower-linger`](https://docs.rs/tower-linger) drives it on tokio; most people want that crate.
//!
//! # Example
//!
//! ```
//! use std::time::Instant;
//! use linger_proto::{Action, CloseMachine, ClosePolicy, Event, Notified, Outcome, Start};
//!
//! let now = Instant::now();
//! let mut close = CloseMachine::new(ClosePolicy::default(), Start::default(), now);
//! assert_eq!(close.action(), Some(Action::Flush));
//! close.handle(Event::Flushed, now);
//! close.handle(Event::Notified(Notified::Nothing), now); // plain TCP has no close_notify
//! assert_eq!(close.action(), Some(Action::HalfClose { below_session: false }));
//! close.handle(Event::HalfClosed, now);
//! close.handle(Event::Discarded(1_200), now); // the rest of an upload
//! close.handle(Event::PeerFin, now);
//! let report = close.report().expect("the peer's FIN ends the close");
//! assert_eq!(report.outcome, Outcome::PeerClosed { close_notify: false });
//! assert_eq!(report.bytes_drained, 1_200);
//! ```
//!
//! # Features
//!
//! `serde`, which is off by default, reads a policy from configuration and writes it: see
//! [`ClosePolicy`](ClosePolicy#configuration-from-outside). Without it the crate depends on no other.
//!
//! # Modules of the source
//!
//! | file | purpose |
//! |---|---|
//! | `machine.rs` | [`CloseMachine`]: event in, next action and timeout out (`machine/` has its parts) |
//! | `phase.rs` | [`Phase`], [`Action`], [`Event`]: what machine and driver exchange |
//! | `budget.rs` | total deadline and idle timeout of one stretch of the close |
//! | `rare.rs` | state of few closes: reading through a session, settling, a shutdown's deadline |
//! | `policy.rs` | [`ClosePolicy`]: settings, defaults, getters; `policy/`: its builder, its checks, its words |
//! | `settings.rs` | [`settings`]: settings as words, for `Display` and for configuration |
//! | `config_error.rs` | [`ConfigError`] |
//! | `outcome.rs` | [`Outcome`], [`Failure`], [`Release`]: how a close ended |
//! | `failure_name.rs` | the names of failures, for logs and metrics |
//! | `report.rs` | [`CloseReport`], and its stable line |

mod budget;
mod config_error;
mod failure_name;
mod machine;
mod outcome;
mod phase;
mod policy;
mod rare;
mod report;
pub mod settings;

pub use config_error::ConfigError;
pub use machine::CloseMachine;
pub use outcome::{Failure, Outcome, Release};
pub use phase::{Action, Alert, Cut, CutShownBy, Event, Notified, Phase, Requests, Start};
pub use policy::{ClosePolicy, ClosePolicyBuilder};
pub use report::CloseReport;
