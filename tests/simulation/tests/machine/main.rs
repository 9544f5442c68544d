//! Model checking: every state that a close can come to, as far as the bounds of each configuration go.
//!
//! What is checked is the machine of linger-proto itself. Around it are a driver, two sockets and a peer,
//! each as small as the question allows; stateright tries every order of what they and the network may do.
//! A response and an upload are a few *units*; time moves in steps of 50 ms.
//!
//! - `begin.rs`: the state in which a close begins.
//! - `close.rs`: the machine, and the faults that can be put around it.
//! - `connection.rs`: two kernels' sockets, and how segments and resets arrive.
//! - `driver.rs`: performs the machine's actions on one of the sockets, and releases it.
//! - `model.rs`: what may happen next, in each state.
//! - `seen.rs`: what the checker remembers beside the states, so that no property believes the machine's
//!   own words.
//! - `properties.rs`: what must always hold.
//! - `configurations.rs`: policies, starts, and what peer, network and server may do.
//! - `check.rs`: runs the checker, and prints a row for each configuration.
//! - `faults.rs`: each property is broken by the fault that it is for.
//!
//! The network has no list of segments. A segment that was sent once may arrive at any later time, in any
//! order, again and again, or never: so loss, duplicates, delay and reordering are all there.
//!
//! `MACHINE_UNITS=3 cargo test --workspace --all-features --test machine -- --nocapture` checks longer
//! responses and uploads than a usual run, which has 2 units of each.

mod begin;
mod check;
mod close;
mod configurations;
mod connection;
mod driver;
mod faults;
mod model;
mod properties;
mod seen;
