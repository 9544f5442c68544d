//! Plays a plan in turmoil, and looks whether what always holds has held.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tower_linger::{LingerLayer, Outcome, Shutdown, Tracker};
use turmoil::{Builder, Sim};

use crate::client::{self, Got};
use crate::plan::{Event, Fault, Mood, Plan, Server, millis};
use crate::server::{self, Seen, Shared, lock};
use crate::tls::Tls;
use crate::trace;

/// What came out of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Result {
    pub(crate) got: Vec<Got>,
    pub(crate) reports: Vec<Outcome>,
    pub(crate) took: Duration,
}

const TICK: u32 = 5;

/// Nothing in here takes longer.
const LONGEST: u32 = 20_000;

pub(crate) fn play(plan: &Plan, seed: u64, tls: &Tls) -> std::result::Result<Result, String> {
    let mut sim = builder(plan, seed).build();
    let seen = Shared::default();
    let (reported, fault) = (seen.clone(), plan.fault);
    let linger = LingerLayer::new(server::policy(plan.fault)).with_tracker(Tracker::unlimited()).on_close(
        move |report| {
            if fault != Fault::LostReport {
                lock(&reported).reports.push((*report, server::elapsed()));
            }
        },
    );
    let got = Rc::new(RefCell::new(vec![Got::default(); plan.clients.len()]));
    let done = Arc::new(Notify::new());
    host(&mut sim, plan, &seen, &linger, tls, &done);
    for (place, client) in plan.clients.iter().copied().enumerate() {
        let (got, config) = (got.clone(), plan.is_tls.then(|| tls.client.clone()));
        sim.client(name(place), async move {
            let result = client::run(client, config).await;
            got.borrow_mut()[place] = result;
            Ok(())
        });
    }
    step(&mut sim, plan, &seen, &done)?;
    let took = sim.elapsed();
    drop(sim);
    let seen = std::mem::take(&mut *lock(&seen));
    let left = linger.tracker().len();
    let reports = seen.reports.iter().map(|(report, _)| report.outcome).collect();
    let got = got.borrow().clone();
    let result = Result { got, reports, took };
    check(plan, &seen, linger.tracker().summary().total(), left, &result.got)?;
    Ok(result)
}

fn builder(plan: &Plan, seed: u64) -> Builder {
    let mut builder = Builder::new();
    builder
        .rng_seed(seed)
        .tick_duration(millis(TICK))
        .simulation_duration(millis(LONGEST))
        .min_message_latency(plan.latency[0])
        .max_message_latency(plan.latency[1])
        .tcp_capacity(plan.segments);
    if let Some((fail, repair)) = plan.loss {
        builder.fail_rate(fail).repair_rate(repair);
    }
    builder
}

fn name(client: usize) -> String {
    format!("client{client}")
}

fn host(sim: &mut Sim<'_>, plan: &Plan, seen: &Shared, linger: &LingerLayer, tls: &Tls, done: &Arc<Notify>) {
    let (plan, seen, linger, done) = (plan.clone(), seen.clone(), linger.clone(), done.clone());
    let acceptor = tls.acceptor.clone();
    sim.host("server", move || {
        let late = if plan.fault == Fault::LateEnd { millis(3_000) } else { Duration::ZERO };
        let shutdown = Shutdown::new(linger.tracker().clone(), plan.shutdown.1 + late);
        let (handle, done) = (shutdown.handle(), done.clone());
        let (plan, seen, linger) = (plan.clone(), seen.clone(), linger.clone());
        let acceptor = acceptor.clone();
        async move {
            // Asked for in here, because the deadline counts by the clock of its host. Outside of it, that is
            // the real clock, which may be ahead.
            drop(tokio::spawn(async move {
                done.notified().await;
                handle.request();
            }));
            server::run(plan, seen, shutdown, linger, acceptor).await;
            Ok(())
        }
    });
}

/// Steps until the clients are done and the server has ended.
fn step(sim: &mut Sim<'_>, plan: &Plan, seen: &Shared, done: &Notify) -> std::result::Result<(), String> {
    let mut events = plan.events.iter().peekable();
    let mut is_asked = false;
    loop {
        while let Some((_, event)) = events.next_if(|(at, _)| *at <= sim.elapsed()) {
            happen(sim, *event);
        }
        trace::at(sim.elapsed());
        let are_clients_done = sim.step().map_err(|error| error.to_string())?;
        let is_due = plan.shutdown.0.is_some_and(|at| at <= sim.elapsed());
        if (are_clients_done || is_due) && !is_asked {
            is_asked = true;
            lock(seen).deadline = Some(sim.elapsed() + plan.shutdown.1);
            done.notify_one();
        }
        if are_clients_done && is_asked && !sim.is_host_running("server") {
            return Ok(());
        }
        if sim.elapsed() > millis(LONGEST) {
            return Err("the server does not end".to_owned());
        }
    }
}

fn happen(sim: &mut Sim<'_>, event: Event) {
    trace::note(format_args!("{event:?}"));
    match event {
        Event::Hold(client) => sim.hold("server", name(client)),
        Event::Release(client) => sim.release("server", name(client)),
        Event::Partition(client) => sim.partition("server", name(client)),
        Event::Repair(client) => sim.repair("server", name(client)),
        Event::CrashServer => sim.crash("server"),
    }
}

/// What always holds.
fn check(
    plan: &Plan,
    seen: &Seen,
    counted: u64,
    left: usize,
    got: &[Got],
) -> std::result::Result<(), String> {
    for (place, (client, got)) in plan.clients.iter().zip(got).enumerate() {
        let is_whole = matches!(got, Got::Whole { .. });
        if client.mood == Mood::IsFailed && is_whole {
            return Err(format!("client {place} takes a failed response for a whole one"));
        }
        if plan.server == Server::Bare {
            continue;
        }
        if client.mood.is_honest() && plan.lets(place) && !is_whole {
            return Err(format!(
                "client {place} ({client:?}) got {got:?}, although the network let it have all"
            ));
        }
        if *got == (Got::Whole { clean: Some(false) }) && plan.lets(place) {
            return Err(format!("client {place} got all, and then no clean end"));
        }
    }
    if plan.server == Server::Bare {
        return Ok(());
    }
    let reports = seen.reports.len() as u64;
    if reports != seen.accepted || counted != seen.accepted || left > 0 {
        let accepted = seen.accepted;
        return Err(format!("{accepted} connections, {reports} reports, {counted} counted, {left} left"));
    }
    ends_in_time(plan, seen)
}

fn ends_in_time(plan: &Plan, seen: &Seen) -> std::result::Result<(), String> {
    for (report, _) in &seen.reports {
        if report.total_time() > server::policy(Fault::None).longest() + millis(TICK) {
            return Err(format!("a close took longer than its policy: {report}"));
        }
    }
    if plan.has_crash() {
        return Ok(());
    }
    let (Some((summary, at)), Some(deadline)) = (&seen.summary, seen.deadline) else {
        return Err("the server did not end".to_owned());
    };
    if *at > deadline + millis(1_000 + 2 * TICK) {
        return Err(format!("the server ended after {at:?}, and its deadline was after {deadline:?}"));
    }
    if summary.total() != seen.accepted && seen.left == 0 {
        return Err(format!("{} connections, and {summary}", seen.accepted));
    }
    Ok(())
}
