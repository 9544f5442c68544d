//! How connections end on plain TCP, with the layer and without it: what the client sees, what the kernel
//! counts, and which packets are on the wire.

#[cfg(target_os = "linux")]
mod wire_tcp {
    #[path = "../shared/memory.rs"]
    mod memory;
    #[path = "../shared/queues.rs"]
    mod queues;
    #[path = "../shared/site.rs"]
    mod site;

    pub(super) mod bounds;
    mod common;
    pub(super) mod delivery;
    pub(super) mod descriptors;
    pub(super) mod dropping;
    pub(super) mod expect;
    pub(super) mod http2;
    pub(super) mod order;
    pub(super) mod patience;
}

#[cfg(target_os = "linux")]
tower_linger_tests::wire_tests! {
    async fn wire_tcp::order::the_fin_follows_the_response_and_comes_before_the_clients;
    async fn wire_tcp::order::bytes_before_during_and_after_the_fin_cause_no_reset;
    async fn wire_tcp::order::the_peers_fin_ends_the_drain_and_is_a_normal_outcome;
    async fn wire_tcp::delivery::an_early_413_or_401_reaches_every_client_that_uploads;
    async fn wire_tcp::delivery::hypers_own_431_reaches_a_client_that_keeps_sending;
    async fn wire_tcp::delivery::a_large_response_reaches_a_client_that_keeps_sending;
    async fn wire_tcp::delivery::a_client_that_half_closes_gets_the_whole_response;
    async fn wire_tcp::delivery::a_client_that_half_closes_gets_no_answer_where_hyper_does_not_allow_it;
    async fn wire_tcp::delivery::requests_after_the_last_one_are_discarded;
    async fn wire_tcp::expect::a_refused_expectation_is_told_whenever_the_body_comes;
    async fn wire_tcp::http2::a_response_after_goaway_reaches_a_client_that_keeps_sending;
    async fn wire_tcp::http2::goaway_reaches_a_client_that_sends_garbage_after_the_preface;
    async fn wire_tcp::patience::a_slow_reader_gets_everything_although_the_drain_is_short;
    async fn wire_tcp::patience::a_shutdown_ends_silent_lingerers_and_completes_a_response_in_transfer;
    async fn wire_tcp::bounds::the_byte_limit_is_exact;
    async fn wire_tcp::bounds::a_drain_holds_no_buffer;
    async fn wire_tcp::bounds::half_of_the_descriptors_linger_by_default_and_the_oldest_goes_first;
    async fn wire_tcp::bounds::a_silent_client_is_released_without_a_reset;
    async fn wire_tcp::descriptors::by_default_lingerers_leave_descriptors_to_accept_with;
    async fn wire_tcp::descriptors::without_a_limit_nobody_is_accepted_until_a_lingerer_ends;
    fn wire_tcp::dropping::a_runtime_shut_down_in_the_drain_discards_what_arrived;
    fn wire_tcp::dropping::a_runtime_shut_down_in_service_still_ends_with_a_fin;
    async fn wire_tcp::dropping::dropping_a_connection_outside_any_runtime_still_ends_with_a_fin;
}

#[cfg(not(target_os = "linux"))]
fn main() {}
