//! One SIGTERM under load, many times: POSTs through nginx with kept upstream connections, while a second
//! replica stays.

use std::time::Duration;

use super::client::{Door, Http};
use super::load::Load;
use super::nginx;
use super::replicas::{Kind, Replicas};
use super::tally::{Tally, Traffic};

const RESTARTS: usize = 30;
const NOTICE: Duration = Duration::from_millis(400);
const POSTS_PER_SECOND: u32 = 400;
/// So many POSTs the new process answers before it gets its signal.
const ANSWERS: usize = 30;

/// A bare server loses a POST in some of its restarts, and sometimes in none of so many. Then it is tried
/// again, at most this often.
const TRIES: usize = 6;

/// How many of the restarts have cost a POST, for each kind of server.
pub(super) async fn a_restart_costs_no_post_if_there_is_a_notice() {
    let mut bare = costly_restarts(Kind::Bare).await;
    let layered = costly_restarts(Kind::Layered).await;
    let noticed = costly_restarts(Kind::Serve).await;
    println!(
        "restarts that cost a POST, of {RESTARTS}: bare axum {bare}, with the layer {layered}, with \
         tower_linger::serve and a notice {noticed}"
    );
    assert_eq!(noticed, 0);
    for _ in 1..TRIES {
        if bare == 0 {
            bare = costly_restarts(Kind::Bare).await;
        }
    }
    assert!(bare > 0, "a bare server loses POSTs, or this test sees nothing");
}

async fn costly_restarts(kind: Kind) -> usize {
    let mut replicas = Replicas::start(kind, NOTICE, false, 2).await;
    // A refused connection does not keep nginx from the next try, so that a new process is found at once.
    let nginx = nginx::start(&replicas, "max_fails=0").await;
    let door = Door::new("h1", vec![([127, 0, 0, 1], nginx::PLAIN).into()], Http::One, None);
    let load = Load::start(&[(door, Traffic::Post, POSTS_PER_SECOND)]);
    let mut costly = 0;
    for _ in 0..RESTARTS {
        let before = lost(&load.tally);
        let id = replicas.restart(0).await;
        load.tally.answered_by(id, ANSWERS).await;
        costly += usize::from(lost(&load.tally) > before);
    }
    let tally = load.finish().await;
    replicas.end().await;
    tally.print(&format!("{RESTARTS} restarts, {kind:?}"));
    let errors = nginx::errors(&nginx);
    assert!(kind != Kind::Serve || errors.is_empty(), "{errors:#?}");
    costly
}

fn lost(tally: &Tally) -> usize {
    tally.count(Traffic::Post).lost.len()
}
