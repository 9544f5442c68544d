//! Judges that other people wrote: clients in ten languages whose uploads are refused, TLS conversations by
//! tlslite-ng, broken HTTP/2 by hyperframe, `WebSocket`s by Python's and Node's libraries, slow attacks by
//! slowhttptest, and five proxies in front. Each meets the same app bare and with the layer.
//!
//! Run it by `make judges`, which installs tlslite-ng; `make needs` installs the rest. docs/clients.md has
//! the results: each test compares its table there, and writes it with `UPDATE=1`.

#[cfg(target_os = "linux")]
mod page;
#[cfg(target_os = "linux")]
mod peers;
#[cfg(target_os = "linux")]
mod programs;
#[cfg(target_os = "linux")]
mod proxies;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod slow;
#[cfg(target_os = "linux")]
mod uploads;

#[cfg(target_os = "linux")]
tower_linger_tests::wire_tests! {
    async fn uploads::programs_of_the_command_line_get_the_early_413;
    async fn uploads::python_gets_the_early_413;
    async fn uploads::java_gets_the_early_413;
    async fn uploads::node_gets_the_early_413;
    async fn uploads::ruby_perl_and_php_get_the_early_413;
    async fn uploads::go_and_rust_get_the_early_413;
    async fn proxies::an_early_413_through_a_proxy_is_no_502;
    async fn peers::tls_conversations_with_rustls_that_fail_end_in_an_alert_and_a_fin;
    async fn peers::tls_conversations_with_openssl_that_fail_end_in_an_alert_and_a_fin;
    async fn peers::broken_http2_ends_in_goaway_and_a_fin;
    async fn peers::websockets_are_told_why_they_end;
    async fn slow::slow_clients_are_bounded_and_others_are_served;
}

#[cfg(not(target_os = "linux"))]
fn main() {}
