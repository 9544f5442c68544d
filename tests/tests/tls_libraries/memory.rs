//! A library that cannot give its stream back still frees its session before the drain.

use openssl::ssl::SslAcceptor;
use tower_linger::{ClosePolicy, ClosePolicyBuilder};
use tower_linger_tests::certs::{Certs, Version};

use super::kept::{LONG, share_kept_while_closing};
use super::library::Library;
use super::session::connect;

/// Each library has a test, and so a process, of its own, because memory that one measurement frees would
/// distort the next.
pub(crate) fn a_connection_in_the_drain_has_freed_its_openssl_session() {
    frees::<SslAcceptor>(Version::Tls13);
}

/// OpenSSL once more, by another crate.
pub(crate) fn a_connection_in_the_drain_has_freed_its_session_of_native_tls() {
    frees::<tokio_native_tls::TlsAcceptor>(Version::Tls12);
}

/// The debug build of s2n-tls is slow, so this is only measured.
pub(crate) fn a_connection_in_the_drain_has_freed_its_s2n_session() {
    drains_without_a_session::<s2n_tls_tokio::TlsAcceptor>(Version::Tls13);
}

fn frees<L: Library>(version: Version) {
    drains_without_a_session::<L>(version);
    // The same measurement notices a session that stays, as this policy needs it.
    let waits = ClosePolicy::builder().await_close_notify(LONG, u64::MAX);
    let waits = share_kept::<L>(version, waits);
    assert!(waits > 0.8, "a close keeps {waits:.2} of what a session takes");
}

fn drains_without_a_session<L: Library>(version: Version) {
    let drains = share_kept::<L>(version, ClosePolicy::builder());
    assert!(drains < 0.5, "a close keeps {drains:.2} of what a session takes");
}

fn share_kept<L: Library>(version: Version, policy: ClosePolicyBuilder) -> f64 {
    let certs = Certs::make();
    share_kept_while_closing(policy, async || {
        let (server, client) = connect::<L>(&certs, version).await;
        (server, client.into_inner().0)
    })
}
