//! The memory that a lingering connection still holds.

use tower_linger::{ClosePolicy, ClosePolicyBuilder};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};

use super::common::connect;
use super::kept::{self, LONG};

/// The session is dropped before the drain, so new connections can reuse its memory. Each version has a test,
/// and so a process, of its own, because memory that one measurement frees would distort the next.
pub(crate) fn a_connection_in_the_drain_has_freed_its_tls12_session() {
    drains_without_a_session(Version::Tls12);
}

/// The same for TLS 1.3.
pub(crate) fn a_connection_in_the_drain_has_freed_its_tls13_session() {
    drains_without_a_session(Version::Tls13);
}

/// CONFORMANCE 23: this policy needs the session in the drain. The same measurement shows what that costs,
/// and that it notices a session that stays.
pub(crate) fn a_connection_that_waits_for_close_notify_keeps_its_tls12_session() {
    waits_with_its_session(Version::Tls12);
}

/// The same for TLS 1.3.
pub(crate) fn a_connection_that_waits_for_close_notify_keeps_its_tls13_session() {
    waits_with_its_session(Version::Tls13);
}

fn drains_without_a_session(version: Version) {
    let share = share_kept_while_closing(version, ClosePolicy::builder());
    assert!(share < 0.5, "a close keeps {share:.2} of what a session takes");
}

fn waits_with_its_session(version: Version) {
    let waits = ClosePolicy::builder().await_close_notify(LONG, u64::MAX);
    let share = share_kept_while_closing(version, waits);
    assert!(share > 0.8, "a close keeps {share:.2} of what a session takes");
}

fn share_kept_while_closing(version: Version, policy: ClosePolicyBuilder) -> f64 {
    let certs = Certs::make();
    kept::share_kept_while_closing(policy, async || {
        let server = certs.server(&[version], ClientAuth::None);
        let (server, client) = connect(server, certs.client(&[version])).await;
        (server, client.into_inner().0)
    })
}
