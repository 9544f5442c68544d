//! How connections end over TLS, with the layer and without it: what the client sees, what the kernel counts,
//! and which packets are on the wire.

#[cfg(target_os = "linux")]
mod wire_tls {
    #[path = "../shared/kept.rs"]
    mod kept;
    #[path = "../shared/memory.rs"]
    mod resident;
    #[path = "../shared/site.rs"]
    mod site;

    pub(super) mod alerts;
    mod common;
    pub(super) mod delivery;
    pub(super) mod half_rtt;
    pub(super) mod idle;
    pub(super) mod memory;
    pub(super) mod notify;
    pub(super) mod secrets;
}

#[cfg(target_os = "linux")]
tower_linger_tests::wire_tests! {
    async fn wire_tls::notify::the_alert_follows_the_response_and_leaves_with_the_fin;
    async fn wire_tls::notify::a_resumed_connection_ends_in_close_notify_too;
    async fn wire_tls::notify::a_client_that_answers_close_notify_meets_no_reset;
    async fn wire_tls::notify::what_follows_the_clients_close_notify_is_discarded;
    async fn wire_tls::notify::a_fin_without_close_notify_is_a_normal_outcome;
    async fn wire_tls::notify::the_wait_for_the_clients_close_notify_ends_at_it_and_is_bounded;
    fn wire_tls::notify::a_runtime_shut_down_still_says_close_notify;
    async fn wire_tls::alerts::a_missing_client_certificate_is_told_to_every_client;
    async fn wire_tls::alerts::no_common_protocol_is_told_to_a_client_that_keeps_sending;
    async fn wire_tls::alerts::no_common_version_is_told_to_a_client_that_keeps_sending;
    async fn wire_tls::alerts::a_fatal_alert_is_not_followed_by_close_notify;
    async fn wire_tls::alerts::a_handshake_that_takes_too_long_ends;
    async fn wire_tls::alerts::a_failed_handshake_can_have_a_policy_of_its_own;
    async fn wire_tls::delivery::an_early_413_reaches_every_client_that_uploads;
    async fn wire_tls::delivery::a_large_response_reaches_a_client_that_keeps_sending;
    async fn wire_tls::half_rtt::a_response_before_the_clients_finished_arrives_whole;
    async fn wire_tls::idle::an_idle_timeout_ends_in_close_notify;
    async fn wire_tls::idle::a_shutdown_ends_idle_connections_in_close_notify;
    async fn wire_tls::secrets::a_key_log_names_the_alerts_of_every_cipher;
    async fn wire_tls::secrets::a_key_log_names_a_fatal_alert;
    fn wire_tls::memory::a_connection_in_the_drain_has_freed_its_tls12_session;
    fn wire_tls::memory::a_connection_in_the_drain_has_freed_its_tls13_session;
    fn wire_tls::memory::a_connection_that_waits_for_close_notify_keeps_its_tls12_session;
    fn wire_tls::memory::a_connection_that_waits_for_close_notify_keeps_its_tls13_session;
}

#[cfg(not(target_os = "linux"))]
fn main() {}
