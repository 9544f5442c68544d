//! What the benches share: servers in processes of their own, clients, a slow road between them, and the
//! table's rows. The benches are beside this folder; `make table` runs them all.

pub mod clients;
pub mod process;
pub mod results;
pub mod road;
pub mod servers;
