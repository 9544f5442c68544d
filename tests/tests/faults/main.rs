//! Faults that happen while connections are in every phase: nothing is left of any of them, each ends in
//! exactly one outcome, and the server goes on.
//!
//! Run it by `make wire`: it needs `ip`, `nft`, libfaketime and libjemalloc. The server is a process of its
//! own.

#[cfg(target_os = "linux")]
mod app;
#[cfg(target_os = "linux")]
mod books;
#[cfg(target_os = "linux")]
mod certificates;
#[cfg(target_os = "linux")]
mod checks;
#[cfg(target_os = "linux")]
mod clocks;
#[cfg(target_os = "linux")]
mod good;
#[cfg(target_os = "linux")]
mod kinds;
#[cfg(target_os = "linux")]
mod link;
#[cfg(target_os = "linux")]
mod loops;
#[cfg(target_os = "linux")]
#[path = "../shared/memory.rs"]
mod memory;
#[cfg(target_os = "linux")]
mod menagerie;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod panics;
#[cfg(target_os = "linux")]
mod peers;
#[cfg(target_os = "linux")]
mod pressure;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod recorder;
#[cfg(target_os = "linux")]
mod reload;
#[cfg(target_os = "linux")]
mod resources;
#[cfg(target_os = "linux")]
mod scene;
#[cfg(target_os = "linux")]
mod server;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    server::main().unwrap_or_else(tests::main)
}

#[cfg(target_os = "linux")]
mod tests {
    use super::{checks, clocks, network, panics, peers, process, reload, resources};

    pub(crate) fn main() -> std::process::ExitCode {
        tower_linger_tests::wire_tests! {
            async fn checks::a_connection_that_is_leaked_is_found;
            async fn process::sigterm_ends_every_connection_and_then_the_server;
            async fn process::a_runtime_shut_down_in_the_background_leaves_nothing;
            async fn process::a_runtime_shut_down_with_a_timeout_leaves_nothing;
            async fn network::a_link_that_is_down_ends_no_connection_but_those_that_close;
            async fn network::fifteen_percent_loss_loses_no_response_and_no_connection;
            async fn peers::flooding_peers_are_drained_within_bounds_and_hinder_nobody;
            async fn peers::a_thousand_trickling_peers_end_within_bounds_and_hinder_nobody;
            async fn resources::without_descriptors_nobody_is_accepted_and_nothing_is_lost;
            async fn resources::memory_pressure_ends_no_server;
            async fn clocks::a_wall_clock_that_leaps_by_years_changes_nothing;
            async fn clocks::a_monotonic_clock_that_leaps_by_hours_ends_what_has_a_bound;
            async fn panics::tasks_that_panic_end_only_their_own_connection;
            async fn panics::observers_that_panic_take_no_connection;
            async fn panics::recorders_that_panic_take_no_connection;
            async fn panics::subscribers_that_panic_take_no_connection;
            async fn reload::a_certificate_that_is_reloaded_concerns_only_new_sessions;
        }
        main()
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {}
