//! A real TLS session under the layer, and a client that sends what it should not.
//!
//! Everything is in memory and on a paused clock: the client's bytes reach the server through a pipe, and
//! whoever waits only for time waits not at all.

mod client;
mod configs;
mod service;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arbitrary::Arbitrary;
use tokio::time::{Instant, timeout};
use tower::{Layer as _, Service as _};
use tower_linger::{AwaitsCloseNotify, CloseReport, LingerLayer, Outcome, Phase, Tracker};

use crate::hook;
use crate::policy::Wishes;
pub use client::Piece;
use client::{Client, Seen};
pub use configs::{Library, Version};
use service::Service;

/// One connection.
#[derive(Debug, Arbitrary)]
pub struct Case {
    wishes: Wishes,
    version: Version,
    handshake: Handshake,
    service: Service,
    /// What the client sends while it is served.
    before: Vec<Piece>,
    /// What it sends once the server has ended its data.
    after: Vec<Piece>,
    /// Whether it sends its FIN after that, or nothing.
    ends: bool,
    /// How many milliseconds it waits before it reads what the server sends.
    reads_late: u8,
}

/// What the client makes of the handshake.
#[derive(Debug, Arbitrary)]
enum Handshake {
    Done,
    /// These bytes instead of it.
    Instead(Vec<Piece>),
    /// Its first flight, with a byte changed, and then these.
    Damaged {
        at: u16,
        by: u8,
        then: Vec<Piece>,
    },
    /// So many bytes of its first flight, and then these.
    CutAt {
        at: u16,
        then: Vec<Piece>,
    },
}

/// Plays one connection over this library, and looks whether it ended as it must.
pub fn play<A: AwaitsCloseNotify + Library>(case: &Case) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(connection::<A>(case));
}

async fn connection<A: AwaitsCloseNotify + Library>(case: &Case) {
    let (client, server) = tokio::io::duplex(PIPE);
    let policy = case.wishes.policy();
    let reports = Arc::new(Mutex::new(Vec::new()));
    let keep = reports.clone();
    let linger = LingerLayer::new(policy)
        .with_tracker(Tracker::unlimited())
        .on_close(move |report| keep.lock().unwrap_or_else(PoisonError::into_inner).push(*report));
    let served = case.service.clone();
    let service = tower::service_fn(move |io| served.clone().serve(io));
    let mut layered = linger.clone().tls(A::acceptor(case.version)).layer(service);
    let tolerated = hook::tolerated();
    let serving = tokio::spawn(async move {
        let _result = layered.call(server).await;
        Instant::now()
    });
    let client = tokio::spawn(visit(Client::new(client, case.version), Plan::of(case)));
    let bound = HANDSHAKE + Service::LONGEST + policy.longest() + Duration::from_secs(1);
    let served = timeout(bound, serving).await.expect("the connection ends in time");
    let patience = match &served {
        Ok(_) => Duration::from_secs(1),
        // A service that reads after its own close_notify meets the assertion of rustls itself, as it would
        // without the layer. The close then goes on in a task of its own.
        Err(error) if error.is_panic() && hook::tolerated() > tolerated => policy.longest(),
        Err(error) => panic!("{error}"),
    };
    timeout(patience, linger.tracker().wait()).await.expect("the tracker is empty");
    // It may wait for long; each byte of the input is at most a minute.
    let seen = timeout(Duration::from_secs(60) * 65_536, client)
        .await
        .expect("the client ends, too")
        .expect("no panic in the client");
    let reports = reports.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let [report] = reports[..] else { panic!("{} reports", reports.len()) };
    assert_eq!(linger.tracker().summary().total(), 1, "{report}");
    assert!(report.bytes_drained <= policy.drain_limit_bytes(), "{report}");
    assert!(report.total_time() <= policy.longest(), "{report}");
    check(case, &report, &seen, served.ok());
}

/// What the client does, in order.
struct Plan {
    handshake: Vec<Piece>,
    is_done: bool,
    damage: Option<(u16, u8)>,
    cut_at: Option<u16>,
    before: Vec<Piece>,
    after: Vec<Piece>,
    ends: bool,
    reads_late: u8,
}

impl Plan {
    fn of(case: &Case) -> Self {
        let mut plan = Self {
            handshake: Vec::new(),
            is_done: false,
            damage: None,
            cut_at: None,
            before: case.before.clone(),
            after: case.after.clone(),
            ends: case.ends,
            reads_late: case.reads_late,
        };
        match &case.handshake {
            Handshake::Done => plan.is_done = true,
            Handshake::Instead(pieces) => (plan.handshake, plan.cut_at) = (pieces.clone(), Some(0)),
            Handshake::Damaged { at, by, then } => {
                (plan.handshake, plan.damage) = (then.clone(), Some((*at, *by)));
            }
            Handshake::CutAt { at, then } => (plan.handshake, plan.cut_at) = (then.clone(), Some(*at)),
        }
        plan
    }
}

/// A whole visit of the client.
async fn visit(mut client: Client, plan: Plan) -> Seen {
    if plan.is_done {
        client.handshake().await;
    } else {
        client.first_flight(plan.cut_at, plan.damage).await;
    }
    client.read_from_now_on(Duration::from_millis(plan.reads_late.into()));
    for piece in plan.handshake.iter().chain(&plan.before) {
        client.send(piece).await;
    }
    client.until_the_end().await;
    for piece in &plan.after {
        client.send(piece).await;
    }
    if plan.ends {
        client.end().await;
    }
    client.leave().await
}

/// What the client must have seen, by what the server says that it did.
fn check(case: &Case, report: &CloseReport, seen: &Seen, ended: Option<Instant>) {
    let eof_at = seen.eof_at.expect("the server's end is seen");
    if report.sent_close_notify && seen.is_intact {
        assert!(seen.close_notify, "close_notify was sent and not seen: {report}, {seen:?}");
    }
    // A service that has ended its writes before it aborts may have sent its close_notify by then.
    let aborts = case.service.abort && !case.service.shuts_down;
    if aborts && report.outcome == Outcome::Aborted {
        assert!(!seen.close_notify, "an abort looks clean: {report}");
    }
    if let Some(ended) = ended.filter(|_| report.ended_in == Phase::Drain && case.reads_late == 0) {
        let drained_from = ended - report.time_in(Phase::Drain);
        let late = eof_at.saturating_duration_since(drained_from);
        assert!(late <= Duration::from_millis(1), "FIN {late:?} after the drain began: {report}");
    }
}

/// Bytes that fit into the pipe in each direction.
const PIPE: usize = 16 << 10;
/// How long the layer gives a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
