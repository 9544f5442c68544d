//! Rolling restarts without a lost request: replicas, each a process of its own on an address of its own
//! (127.0.0.2 and following, in the test's network namespace), are ended by SIGTERM and started again, one by
//! one, behind a real HAProxy and a real nginx. Meanwhile clients begin requests at fixed times, whether or
//! not earlier ones are answered: GET, POST, uploads that are refused, messages on `WebSocket`s; over HTTP/1
//! and HTTP/2, plain and TLS.
//!
//! With `tower_linger::serve` and a notice nothing may be lost, as the clients see it and as the balancer's
//! log tells it. A bare `axum::serve` has to lose something, so that it is known that the tests see losses.
//!
//! Run it by `make rolling`: it needs HAProxy and nginx, which `make needs` installs on Debian.

#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod haproxy;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod nginx;
#[cfg(target_os = "linux")]
mod one_signal;
#[cfg(target_os = "linux")]
mod replicas;
#[cfg(target_os = "linux")]
mod rounds;
#[cfg(target_os = "linux")]
mod socket;
#[cfg(target_os = "linux")]
mod tally;

#[cfg(target_os = "linux")]
tower_linger_tests::wire_tests! {
    async fn one_signal::a_restart_costs_no_post_if_there_is_a_notice;
    async fn rounds::nothing_is_lost_behind_haproxy;
    async fn rounds::nothing_is_lost_behind_haproxy_over_tls;
    async fn rounds::nothing_is_lost_behind_nginx;
    async fn rounds::nothing_is_lost_behind_nginx_over_tls;
    async fn rounds::clients_of_http2_that_choose_the_replica_lose_nothing;
    async fn rounds::clients_of_http2_over_tls_that_choose_the_replica_lose_nothing;
    async fn rounds::a_bare_server_loses_behind_haproxy;
    async fn rounds::a_bare_server_loses_behind_haproxy_over_tls;
    async fn rounds::a_bare_server_loses_behind_nginx;
    async fn rounds::a_bare_server_loses_behind_nginx_over_tls;
}

#[cfg(not(target_os = "linux"))]
fn main() {}
