//! A policy that is swapped while the server runs.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;
use tower::Layer;
use tower_linger::{ClosePolicy, Outcome};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::{Client, End, receive};
use tower_linger_tests::server::{Engine, Http, accept_loop, listen, reporting};
use tower_linger_tests::until::until;

use super::scene::{LARGE_BYTES, LONG, SHORT, Scene, last_request, long, within};

fn built(builder: tower_linger::ClosePolicyBuilder) -> ClosePolicy {
    builder.build().expect("makes sense")
}

/// The first close began before the swap. The second connection was accepted before it and closes after it,
/// the third one was accepted after it.
#[tokio::test]
async fn a_swapped_policy_is_the_one_of_the_next_close_and_not_of_the_running_one() {
    for engine in Engine::ALL {
        let mut scene = Scene::plain(engine, long()).await;
        let running = scene.answered().await;
        until("its close begins", || scene.linger.tracker().closing() == 1).await;
        let mut accepted = scene.connect().await;
        until("it is accepted", || scene.linger.tracker().served() == 1).await;

        let policy = built(long().drain_idle_timeout(SHORT));
        scene.linger.set_policy(policy);
        assert_eq!(scene.linger.policy(), policy);
        accepted.write_all(&last_request("/")).await.expect("loopback");
        assert_eq!(scene.report().await.outcome, Outcome::DrainIdle, "{engine:?}");
        let later = scene.answered().await;
        assert_eq!(scene.report().await.outcome, Outcome::DrainIdle, "{engine:?}");

        assert_eq!(scene.linger.tracker().closing(), 1, "{engine:?}: the first close waits for its peer");
        drop(running);
        let outcome = scene.report().await.outcome;
        assert_eq!(outcome, Outcome::PeerClosed { close_notify: false }, "{engine:?}");
        drop((accepted, later));
    }
}

/// hyper ends its writes before it drops the connection; the policy of that moment decides about the FIN.
#[tokio::test]
async fn a_swapped_policy_holds_the_fin_back_from_then_on() {
    for engine in Engine::ALL {
        let mut scene = Scene::plain(engine, long()).await;
        let mut accepted = scene.connect().await;
        until("it is accepted", || scene.linger.tracker().served() == 1).await;
        scene.linger.set_policy(built(long().without_half_close()));
        accepted.write_all(&last_request("/")).await.expect("loopback");
        assert_eq!(scene.report().await.outcome, Outcome::LeftOpen, "{engine:?}");
    }
}

#[tokio::test]
async fn a_swapped_write_idle_timeout_holds_for_connections_that_are_accepted_afterwards() {
    for engine in Engine::ALL {
        let mut scene = Scene::plain(engine, long()).await;
        let mut accepted = scene.connect().await;
        until("it is accepted", || scene.linger.tracker().served() == 1).await;
        scene.linger.set_policy(built(long().write_idle_timeout(SHORT)));
        accepted.write_all(&last_request("/large")).await.expect("loopback");
        // Neither of them reads.
        let _later = scene.asked("/large").await;
        assert_eq!(scene.report().await.outcome, Outcome::FlushTimeout, "{engine:?}");
        let seen = receive(&mut accepted, End::Fin).await;
        assert_eq!((seen.complete, seen.body), (true, LARGE_BYTES), "{engine:?}");
    }
}

/// A clone with an observer of its own is still a clone.
#[tokio::test]
async fn all_clones_share_the_policy_that_is_swapped() {
    let (linger, _reports) = reporting(built(long()));
    let clone = linger.clone().on_close(|_| ()).detach_upgrades();
    let policy = built(long().drain_idle_timeout(SHORT));
    linger.set_policy(policy);
    assert_eq!(clone.policy(), policy);
    clone.set_policy(ClosePolicy::default());
    assert_eq!(linger.policy(), ClosePolicy::default());
}

#[tokio::test]
async fn failed_handshakes_follow_the_swap_unless_they_have_a_policy_of_their_own() {
    let certs = Certs::make();
    let acceptor = || TlsAcceptor::from(Arc::new(certs.server(&[Version::Tls13], ClientAuth::None)));
    let too_old = Arc::new(certs.client(&[Version::Tls12]));
    for has_its_own in [false, true] {
        let (linger, mut reports) = reporting(built(long().drain_idle_timeout(LONG)));
        let mut tls = linger.clone().tls(acceptor());
        if has_its_own {
            tls = tls.with_failure_policy(built(long().drain_idle_timeout(SHORT).drain_limit(SHORT)));
        }
        let server = accept_loop(listen().await, tls.layer(Http::new(axum::Router::new())));
        linger.set_policy(built(long().without_drain()));
        let client = Client::tls(server.address, None, too_old.clone()).await;
        assert_eq!(End::of(&client.expect_err("rejected")), End::Alert("ProtocolVersion".into()));
        let outcome = within(reports.recv()).await.expect("reported").outcome;
        assert_eq!(outcome == Outcome::Undrained, !has_its_own, "{outcome}");
    }
}
