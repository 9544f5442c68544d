//! How connections end over each TLS library: the table in docs/stacks.md, rendered by running each of its
//! cells, with the layer and without it.

#[cfg(target_os = "linux")]
mod axum_server;
#[cfg(target_os = "linux")]
mod end;
#[cfg(target_os = "linux")]
mod handshake;
#[cfg(target_os = "linux")]
#[path = "../shared/kept.rs"]
mod kept;
#[cfg(target_os = "linux")]
mod library;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
#[path = "../shared/memory.rs"]
mod resident;
#[cfg(target_os = "linux")]
mod session;
#[cfg(target_os = "linux")]
#[path = "../shared/site.rs"]
mod site;
#[cfg(target_os = "linux")]
mod table;

#[cfg(target_os = "linux")]
tower_linger_tests::wire_tests! {
    async fn table::s2n_tls12;
    async fn table::s2n_tls13;
    async fn table::openssl_tls12;
    async fn table::openssl_tls13;
    async fn table::rustls_tls12;
    async fn table::rustls_tls13;
    async fn table::native_tls_tls12;
    async fn table::native_tls_tls13;
    fn memory::a_connection_in_the_drain_has_freed_its_openssl_session;
    fn memory::a_connection_in_the_drain_has_freed_its_session_of_native_tls;
    fn memory::a_connection_in_the_drain_has_freed_its_s2n_session;
    async fn axum_server::early_answers_and_alerts_arrive_over_its_openssl;
}

#[cfg(not(target_os = "linux"))]
fn main() {}
