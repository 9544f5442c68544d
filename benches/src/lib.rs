//! What the benches share: servers in processes of their own, clients, a slow link between them, and the rows
//! of the table. The benches are the files beside this folder; `make table` runs them all.

pub mod clients;
pub mod namespace;
pub mod process;
pub mod results;
pub mod servers;
