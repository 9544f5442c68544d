//! Three replicas are restarted one by one under load, for three rounds, behind a balancer or without one.

use std::time::Duration;

use super::client::{Door, Http};
use super::haproxy::{self, HaProxy};
use super::load::{Load, Rate};
use super::nginx;
use super::replicas::{Kind, Replicas};
use super::tally::{Tally, Traffic};

const REPLICAS: usize = 3;
const ROUNDS: usize = 3;
/// So many requests of the load a replica answers before the next one is restarted.
const ANSWERS: usize = 30;
/// Longer than HAProxy's checks take to see that a replica is not ready.
const NOTICE_TO_HAPROXY: Duration = Duration::from_millis(1600);
/// nginx learns of it by the answers themselves, so each kept connection needs the time for one more.
const NOTICE_TO_NGINX: Duration = Duration::from_millis(600);
/// A GOAWAY needs a round trip.
const NOTICE_TO_CLIENTS: Duration = Duration::from_millis(300);

/// What the clients have seen, and each line of the balancer's log that tells of a loss.
struct Seen {
    tally: Tally,
    logged: Vec<String>,
    /// How many requests the balancer has logged.
    requests: usize,
}

pub(super) async fn nothing_is_lost_behind_nginx() {
    behind_nginx(Kind::Serve, false).await.assert_whole();
}

pub(super) async fn nothing_is_lost_behind_nginx_over_tls() {
    behind_nginx(Kind::Serve, true).await.assert_whole();
}

pub(super) async fn nothing_is_lost_behind_haproxy() {
    behind_haproxy(Kind::Serve, false).await.assert_whole();
}

pub(super) async fn nothing_is_lost_behind_haproxy_over_tls() {
    behind_haproxy(Kind::Serve, true).await.assert_whole();
}

/// With prior knowledge (RFC 9113 §3.3).
pub(super) async fn clients_of_http2_that_choose_the_replica_lose_nothing() {
    assert_whole(&direct(Kind::Serve, false).await);
}

pub(super) async fn clients_of_http2_over_tls_that_choose_the_replica_lose_nothing() {
    assert_whole(&direct(Kind::Serve, true).await);
}

pub(super) async fn a_bare_server_loses_behind_nginx() {
    behind_nginx(Kind::Bare, false).await.assert_losses();
}

pub(super) async fn a_bare_server_loses_behind_nginx_over_tls() {
    behind_nginx(Kind::Bare, true).await.assert_losses();
}

pub(super) async fn a_bare_server_loses_behind_haproxy() {
    behind_haproxy(Kind::Bare, false).await.assert_losses();
}

pub(super) async fn a_bare_server_loses_behind_haproxy_over_tls() {
    behind_haproxy(Kind::Bare, true).await.assert_losses();
}

async fn behind_nginx(kind: Kind, is_tls: bool) -> Seen {
    let mut replicas = Replicas::start(kind, NOTICE_TO_NGINX, is_tls, REPLICAS).await;
    // A bare server resets the uploads that it refuses, and nginx would take such a replica for broken. What
    // is to be seen is what its restarts lose.
    let failed = if kind == Kind::Bare { "max_fails=0" } else { "max_fails=1 fail_timeout=1s" };
    let nginx = nginx::start(&replicas, failed).await;
    let rates = rates(&replicas, nginx::PLAIN, nginx::TLS);
    let tally = rolled(&mut replicas, &rates).await;
    tally.print(&format!("behind nginx, {}", described(kind, is_tls)));
    let lines = nginx::lines(&nginx);
    let requests = lines.len();
    let failed = lines.into_iter().filter(|line| line.status == 499 || line.status >= 500);
    let logged = failed.map(|line| line.text).chain(nginx::errors(&nginx)).collect();
    Seen { tally, logged, requests }
}

async fn behind_haproxy(kind: Kind, is_tls: bool) -> Seen {
    let mut replicas = Replicas::start(kind, NOTICE_TO_HAPROXY, is_tls, REPLICAS).await;
    let haproxy = HaProxy::start(&replicas).await;
    let rates = rates(&replicas, haproxy::PLAIN, haproxy::TLS);
    let tally = rolled(&mut replicas, &rates).await;
    tally.print(&format!("behind HAProxy, {}", described(kind, is_tls)));
    let lines = haproxy.lines();
    let requests = lines.len();
    let failed = lines.into_iter().filter(haproxy::Line::is_loss);
    let mut logged: Vec<_> = failed.map(|line| line.text).collect();
    let (connections, responses) = haproxy.errors().await;
    if connections + responses > 0 {
        logged.push(format!("{connections} failed connections and {responses} failed responses"));
    }
    Seen { tally, logged, requests }
}

/// Clients that choose the replica themselves, over HTTP/2.
async fn direct(kind: Kind, is_tls: bool) -> Tally {
    let mut replicas = Replicas::start(kind, NOTICE_TO_CLIENTS, is_tls, REPLICAS).await;
    let config = is_tls.then(|| replicas.client_config());
    let door = Door::new("h2 direct", replicas.addresses(), Http::Two, config);
    let rates =
        [(door.clone(), Traffic::Get, 60), (door.clone(), Traffic::Post, 90), (door, Traffic::Upload, 4)];
    let tally = rolled(&mut replicas, &rates).await;
    tally.print(&format!("without a balancer, {}", described(kind, is_tls)));
    tally
}

/// Over plain TCP by HTTP/1, over TLS by both. To the replicas HTTP/1 is spoken: nginx cannot do otherwise,
/// and HAProxy 2.6 breaks HTTP/2 when it gets a GOAWAY while it uploads (it resets stream 0).
fn rates(replicas: &Replicas, plain: u16, tls: u16) -> Vec<Rate> {
    let address = |port| vec![([127, 0, 0, 1], port).into()];
    if replicas.is_tls() {
        let config = || Some(replicas.client_config());
        let one = Door::new("h1 TLS", address(tls), Http::One, config());
        let two = Door::new("h2 TLS", address(tls), Http::Two, config());
        vec![
            (one.clone(), Traffic::Get, 25),
            (one.clone(), Traffic::Post, 35),
            (one.clone(), Traffic::Upload, 2),
            (one, Traffic::Message, 5),
            (two.clone(), Traffic::Get, 25),
            (two.clone(), Traffic::Post, 35),
            (two, Traffic::Upload, 2),
        ]
    } else {
        let one = Door::new("h1", address(plain), Http::One, None);
        vec![
            (one.clone(), Traffic::Get, 80),
            (one.clone(), Traffic::Post, 120),
            (one.clone(), Traffic::Upload, 6),
            (one, Traffic::Message, 6),
        ]
    }
}

/// Restarts each replica as often as there are rounds. One is back when it has answered requests of the load.
async fn rolled(replicas: &mut Replicas, rates: &[Rate]) -> Tally {
    let load = Load::start(rates);
    for id in replicas.ids() {
        load.tally.answered_by(id, ANSWERS).await;
    }
    for _ in 0..ROUNDS {
        for index in 0..REPLICAS {
            let id = replicas.restart(index).await;
            load.tally.answered_by(id, ANSWERS).await;
        }
    }
    load.finish().await
}

impl Seen {
    fn assert_whole(&self) {
        assert_whole(&self.tally);
        assert!(self.logged.is_empty(), "the balancer has logged losses: {:#?}", self.logged);
        let messages = self.tally.count(Traffic::Message);
        assert!(messages.moved >= REPLICAS, "WebSockets are told when their replica ends: {}", self.tally);
        let asked = self.tally.total().begun - messages.begun;
        assert!(self.requests >= asked, "the log has {} lines, for {asked} requests", self.requests);
    }

    /// Each restart cuts WebSockets. How many requests are lost besides is luck: see [`one_signal`].
    ///
    /// [`one_signal`]: super::one_signal
    fn assert_losses(&self) {
        let cut = self.tally.count(Traffic::Message).lost.len();
        assert!(cut >= REPLICAS, "a bare server loses something, or this test sees nothing: {}", self.tally);
        assert!(!self.logged.is_empty(), "the balancer has logged no loss: {}", self.tally);
    }
}

fn assert_whole(tally: &Tally) {
    let total = tally.total();
    assert!(total.lost.is_empty(), "lost: {tally}");
    assert_eq!(total.begun, total.answered, "{tally}");
}

fn described(kind: Kind, is_tls: bool) -> String {
    format!("{kind:?} over {}", if is_tls { "TLS" } else { "plain TCP" })
}
