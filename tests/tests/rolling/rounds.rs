//! Three replicas are restarted one by one under load, three rounds long.

use std::sync::Arc;
use std::time::Duration;

use super::client::{Door, Http};
use super::haproxy::{self, HaProxy};
use super::load::{Load, Rate};
use super::nginx;
use super::replicas::{Kind, Replicas};
use super::tally::{Tally, Traffic};

const REPLICAS: usize = 3;
const ROUNDS: usize = 3;
const NOTICE: Duration = Duration::from_millis(1600);
/// So many requests of the load a replica answers before the next one is restarted.
const ANSWERS: usize = 40;

pub(super) async fn nginx_plain(kind: Kind) -> (Tally, Vec<String>) {
    behind_nginx(kind, false).await
}

/// What the clients have seen, and what of it is a loss in nginx's logs.
pub(super) async fn behind_nginx(kind: Kind, is_tls: bool) -> (Tally, Vec<String>) {
    let mut replicas = Replicas::start(kind, NOTICE, is_tls, REPLICAS).await;
    let nginx = nginx::start(&replicas, "max_fails=0").await;
    let rates = rates(&replicas, nginx::PLAIN, nginx::TLS);
    let tally = rolled(&mut replicas, &rates).await;
    let failed = nginx::lines(&nginx).into_iter().filter(|line| line.status == 499 || line.status >= 500);
    let logged = failed.map(|line| line.text).chain(nginx::errors(&nginx)).collect();
    (tally, logged)
}

pub(super) async fn behind_haproxy(kind: Kind, is_tls: bool) -> (Tally, Vec<String>) {
    let mut replicas = Replicas::start(kind, NOTICE, is_tls, REPLICAS).await;
    let haproxy = HaProxy::start(&replicas).await;
    let rates = rates(&replicas, haproxy::PLAIN, haproxy::TLS);
    let tally = rolled(&mut replicas, &rates).await;
    let failed = haproxy.lines().into_iter().filter(|line| line.status >= 500 || line.termination != "--");
    let mut logged: Vec<_> = failed.map(|line| line.text).collect();
    let (connections, responses) = haproxy.errors().await;
    logged.push(format!("econ {connections} eresp {responses}"));
    (tally, logged)
}

/// Over plain TCP by HTTP/1; over TLS by both.
fn rates(replicas: &Replicas, plain: u16, tls: u16) -> Vec<Rate> {
    let address = |port| vec![([127, 0, 0, 1], port).into()];
    if replicas.is_tls() {
        let config = || Some(replicas.client_config());
        let one = Door::new("h1 TLS", address(tls), Http::One, config());
        let two = Door::new("h2 TLS", address(tls), Http::Two, config());
        vec![
            (one.clone(), Traffic::Get, 40),
            (one.clone(), Traffic::Post, 60),
            (one.clone(), Traffic::Upload, 4),
            (one, Traffic::Message, 6),
            (two.clone(), Traffic::Get, 40),
            (two.clone(), Traffic::Post, 60),
            (two, Traffic::Upload, 4),
        ]
    } else {
        let one = Door::new("h1", address(plain), Http::One, None);
        vec![
            (one.clone(), Traffic::Get, 80),
            (one.clone(), Traffic::Post, 120),
            (one.clone(), Traffic::Upload, 8),
            (one, Traffic::Message, 6),
        ]
    }
}

/// Restarts each replica as often as there are rounds. One is back when it has answered one of the requests.
async fn rolled(replicas: &mut Replicas, rates: &[Rate]) -> Tally {
    let load = Load::start(rates);
    if std::env::var("STILL").is_ok() { let id = replicas.id(0); load.tally.answered_by(id, 800).await; return load.finish().await; }
    for _ in 0..ROUNDS {
        for index in 0..REPLICAS {
            let id = replicas.restart(index).await;
            load.tally.answered_by(id, ANSWERS).await;
        }
    }
    load.finish().await
}

/// Clients that choose the replica themselves, over HTTP/2.
pub(super) async fn direct(kind: Kind, is_tls: bool) -> Tally {
    let mut replicas = Replicas::start(kind, NOTICE, is_tls, REPLICAS).await;
    let config = is_tls.then(|| replicas.client_config());
    let door: Arc<Door> = Door::new("h2 direct", replicas.addresses(), Http::Two, config);
    let rates = [
        (door.clone(), Traffic::Get, 100),
        (door.clone(), Traffic::Post, 150),
        (door, Traffic::Upload, 5),
    ];
    rolled(&mut replicas, &rates).await
}
