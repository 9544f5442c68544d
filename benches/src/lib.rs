//! What the benches share: a server in a process of its own, a slow road to it, and the table's rows. The benches are beside
//! this folder; `make table` runs them all.

pub mod process;
pub mod results;
#[cfg(target_os = "linux")]
pub mod road;
