//! Each way in which a connection can end, caused by a real network, and the outcome that is reported for it.
//!
//! Run it by `make wire`: it needs `nft`, `openssl`, `ss` and `tshark`.

#[cfg(target_os = "linux")]
mod attack;
#[cfg(target_os = "linux")]
mod early;
#[cfg(target_os = "linux")]
mod endings;
#[cfg(target_os = "linux")]
mod held;
#[cfg(target_os = "linux")]
mod last;
#[cfg(target_os = "linux")]
mod links;
#[cfg(target_os = "linux")]
mod loss;
#[cfg(target_os = "linux")]
#[path = "../shared/memory.rs"]
mod memory;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod ports;
#[cfg(target_os = "linux")]
mod scene;
#[cfg(target_os = "linux")]
mod secrets;
#[cfg(target_os = "linux")]
mod silent;
#[cfg(target_os = "linux")]
mod soak;

#[cfg(target_os = "linux")]
tower_linger_tests::wire_tests! {
    async fn network::a_peers_fin_is_peer_closed_and_leaves_nothing_unacknowledged;
    async fn network::a_peers_zero_linger_is_peer_reset;
    async fn network::a_reset_forged_on_the_way_is_peer_reset_whoever_sees_it_first;
    async fn network::icmp_unreachable_until_the_kernel_gives_up_is_unreachable;
    async fn network::icmp_unreachable_on_a_path_that_heals_is_forgotten;
    async fn network::silence_until_the_kernel_gives_up_is_kernel_timeout;
    async fn network::an_unanswered_keepalive_is_kernel_timeout;
    async fn network::a_socket_destroyed_on_this_host_is_local_abort;
    async fn network::a_peer_that_vanishes_is_drain_idle_with_bytes_unacknowledged;
    async fn network::a_peer_that_takes_nothing_is_flush_timeout_and_a_reset;
    async fn network::an_aborted_response_ends_in_a_reset_and_not_in_a_fin;
    async fn network::a_close_that_ends_at_a_limit_is_a_reset_where_the_policy_says_so;
    async fn network::a_descriptor_in_a_child_holds_the_fin_back_only_where_the_policy_says_so;
    async fn endings::closes::each_close_is_normal_or_half_closed;
    async fn endings::each_reset_has_its_cause;
    async fn endings::each_reset_of_a_middlebox_has_its_signs;
    async fn endings::each_icmp_error_is_named;
    async fn endings::each_refusal_is_named;
    async fn endings::silence::each_silence_is_told_by_what_was_asked;
    async fn endings::time_wait::a_new_connection_takes_the_port_over;
    async fn endings::time_wait::a_challenged_client_tries_again;
    async fn endings::time_wait::a_challenged_client_never_connects_where_time_wait_is_kept;
    async fn endings::time_wait::an_old_segment_ends_time_wait;
    async fn endings::tls::each_end_of_a_session_is_told;
    async fn secrets::alerts_of_openssl_are_named_as_tshark_names_them;
    async fn early::a_client_that_has_everything_and_is_quiet_is_released_early;
    async fn early::a_client_that_still_sends_is_not_released;
    async fn early::a_client_that_has_not_acknowledged_is_not_released;
    async fn last::nothing_is_lost_behind_a_last_request;
    async fn last::nothing_is_lost_behind_a_last_request_on_a_slow_link;
    async fn last::nothing_is_lost_behind_a_last_request_on_a_lossy_link;
    async fn last::nothing_is_lost_behind_a_last_request_on_a_slow_and_lossy_link;
    async fn last::nothing_is_lost_behind_a_last_request_on_a_long_link;
    async fn last::a_client_that_breaks_its_word_loses_less_than_without_the_layer;
    async fn silent::nothing_is_lost_to_a_pause;
    async fn silent::nothing_is_lost_to_a_pause_on_a_slow_link;
    async fn silent::nothing_is_lost_to_a_pause_on_a_lossy_link;
    async fn silent::nothing_is_lost_to_a_pause_on_a_slow_and_lossy_link;
    async fn silent::nothing_is_lost_to_a_pause_on_a_long_link;
    async fn silent::a_release_of_whoever_is_quiet_loses_what_a_pause_interrupts;
    async fn loss::an_early_answer_survives_the_loss_of_packets;
    async fn loss::without_the_layer_an_early_answer_is_lost_with_the_packets;
    async fn ports::time_wait_is_the_servers_unless_the_peer_closes_first;
    async fn attack::under_a_thousand_hostile_connections_limits_hold_and_good_clients_are_answered;
    async fn held::a_flood_leaves_at_most_what_is_gathered_unread;
    async fn held::a_released_flood_leaves_nothing_unread;
    async fn held::a_peer_that_reads_nothing_makes_the_kernel_hold_a_send_buffer_and_no_more;
    async fn held::a_peer_that_vanished_leaves_an_orphan_until_the_orphan_timeout;
    async fn held::a_served_connection_and_a_handshake_hold_a_bounded_number_of_bytes;
    async fn soak::nothing_is_left_of_100_000_connections;
    async fn ports::a_client_reconnects_from_the_same_port_after_every_kind_of_close;
}

#[cfg(not(target_os = "linux"))]
fn main() {}
