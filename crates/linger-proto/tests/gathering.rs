//! A flood is gathered in the kernel. These tests drive a drain over a simulated receive queue, which wakes
//! its driver at the low-water mark that the machine asks for.

#![expect(
    clippy::disallowed_methods,
    reason = "the clock gives a point to count from, and is not read again"
)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use linger_proto::{Action, CloseMachine, ClosePolicy, CloseReport, Event, Notified, Outcome, Start};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const GATHERED_AFTER: u64 = 1 << 20;
const GATHERED: u32 = 256 << 10;

/// What a peer sends: so many milliseconds after the send before, so many bytes; at last a FIN, or nothing.
#[derive(Debug, Clone)]
struct Peer {
    sends: Vec<(u64, usize)>,
    closes: bool,
}

/// Whether the transport has a low-water mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Gathers,
    CannotGather,
}

/// A close that has begun to drain, over what has arrived from its peer and was not read.
struct Drain {
    machine: CloseMachine,
    now: Instant,
    arrivals: VecDeque<(Instant, usize)>,
    /// When the peer's FIN arrives.
    fin_at: Option<Instant>,
    queue: usize,
    arrived_at: Instant,
    low_water: u32,
    /// How often something was there to read.
    wakes: usize,
}

impl Drain {
    fn new(policy: ClosePolicy, peer: &Peer) -> Self {
        let began = Instant::now();
        let mut machine = CloseMachine::new(policy, Start::default(), began);
        for event in [Event::Flushed, Event::Notified(Notified::Nothing), Event::HalfClosed] {
            machine.handle(event, began);
        }
        machine.handle(Event::Acknowledged { rtt: Duration::from_millis(40) }, began);
        let mut at = began;
        let arrivals = peer.sends.iter().map(|(millis, bytes)| {
            at += Duration::from_millis(*millis);
            (at, *bytes)
        });
        let arrivals: VecDeque<_> = arrivals.collect();
        let fin_at = peer.closes.then_some(at);
        Self { machine, now: began, arrivals, fin_at, queue: 0, arrived_at: began, low_water: 1, wakes: 0 }
    }

    /// Drives the close to its end, as `tower-linger` does, and checks every action.
    fn run(mut self, transport: Transport) -> (CloseReport, usize) {
        let mut gathers_no_more = false;
        while let Some(action) = self.machine.action() {
            let Action::Discard { limit, wake_at } = action else { panic!("{action:?} in the drain") };
            let wake_at = wake_at.get();
            if wake_at > 1 {
                assert!(self.machine.bytes_drained() >= GATHERED_AFTER && !gathers_no_more);
            }
            if self.is_readable() {
                self.wakes += 1;
                self.read(limit.get(), self.now);
            } else if wake_at > self.low_water && transport == Transport::CannotGather {
                gathers_no_more = true;
                self.machine.handle(Event::CannotGather, self.now);
            } else if wake_at < self.low_water {
                gathers_no_more = true;
                self.low_water = wake_at;
                if self.queue > 0 {
                    self.read(limit.get(), self.arrived_at);
                }
            } else {
                self.low_water = wake_at;
                self.wait();
            }
        }
        (self.machine.report().expect("it is over"), self.wakes)
    }

    fn has_fin(&self) -> bool {
        self.arrivals.is_empty() && self.fin_at.is_some_and(|at| at <= self.now)
    }

    fn is_readable(&self) -> bool {
        self.has_fin() || self.queue >= usize::try_from(self.low_water).unwrap_or(usize::MAX)
    }

    fn read(&mut self, limit: usize, at: Instant) {
        let bytes = limit.min(self.queue);
        self.queue -= bytes;
        let event = if bytes == 0 { Event::PeerFin } else { Event::Discarded(bytes) };
        self.machine.handle(event, at);
    }

    /// Waits for the peer or the machine's timeout, whichever comes first.
    fn wait(&mut self) {
        let timeout = self.machine.next_timeout().expect("it is not over");
        let next = self.arrivals.front().map(|(at, _)| *at).or(self.fin_at);
        match next {
            Some(at) if at <= timeout => {
                self.now = self.now.max(at);
                if let Some((at, bytes)) = self.arrivals.pop_front() {
                    self.queue += bytes;
                    self.arrived_at = at;
                }
            }
            _ => {
                self.now = self.now.max(timeout);
                self.machine.handle(Event::Tick, self.now);
            }
        }
    }
}

fn policy() -> impl Strategy<Value = ClosePolicy> {
    let rate = prop::option::of((1u64..2_000_000, 1u64..10));
    (1u64..10, 1u64..40, 1u64..12_000_000, rate, prop::option::of(1u32..100)).prop_map(
        |(idle, limit, bytes, rate, early)| {
            let limit = Duration::from_secs(limit);
            let mut builder = ClosePolicy::builder()
                .drain_idle_timeout(limit.min(Duration::from_secs(idle)))
                .drain_limit(limit)
                .drain_limit_bytes(bytes);
            if let Some((rate, grace)) = rate {
                builder = builder.drain_min_rate(rate, limit.min(Duration::from_secs(grace)));
            }
            if let Some(round_trips) = early.filter(|_| cfg!(target_os = "linux")) {
                builder = builder.early_release(round_trips);
            }
            builder.build().expect("in bounds by construction")
        },
    )
}

fn peer() -> impl Strategy<Value = Peer> {
    let sends = prop::collection::vec((0u64..2_000, 1usize..600_000), 0..60);
    (sends, any::<bool>()).prop_map(|(sends, closes)| Peer { sends, closes })
}

/// `make mutants` runs them very often, so it asks for fewer. Miri is slow.
fn cases() -> u32 {
    let usual = if cfg!(miri) { 4 } else { 4_000 };
    std::env::var("PROPTEST_CASES").map_or(usual, |cases| cases.parse().expect("a number of cases"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    /// Whatever came before a deadline is counted before it, from when it came.
    #[test]
    fn gathering_changes_neither_how_a_drain_ends_nor_what_it_counts(policy in policy(), peer in peer()) {
        let (gathered, _) = Drain::new(policy, &peer).run(Transport::Gathers);
        let (one_by_one, _) = Drain::new(policy, &peer).run(Transport::CannotGather);
        prop_assert_eq!(gathered.outcome, one_by_one.outcome);
        prop_assert_eq!(gathered.bytes_drained, one_by_one.bytes_drained);
        if gathered.outcome == Outcome::DrainLimit {
            // The last bytes below the limit may have waited in the queue.
            prop_assert!(gathered.total_time() <= policy.drain_limit());
        } else {
            prop_assert_eq!(gathered.total_time(), one_by_one.total_time());
        }
    }
}

#[test]
fn a_flood_wakes_its_driver_for_256_kib_at_a_time_after_its_first_mib() {
    const PIECE: usize = 16 << 10;
    let flood = Peer { sends: vec![(1, PIECE); 512], closes: true };
    let (report, wakes) = Drain::new(ClosePolicy::default(), &flood).run(Transport::Gathers);
    assert_eq!(
        (report.outcome, report.bytes_drained),
        (Outcome::PeerClosed { close_notify: false }, 8 << 20)
    );
    // One for each piece of the first MiB, one for each 256 KiB of the other seven, one for the FIN.
    assert_eq!(wakes, 64 + 28 + 1);
}

#[test]
fn a_peer_that_has_become_slow_wakes_its_driver_for_every_byte_again() {
    let policy = ClosePolicy::default();
    let idle = policy.drain_idle_timeout();
    let Drain { mut machine, now, .. } = Drain::new(policy, &Peer { sends: vec![], closes: false });
    let wake_at = |machine: &CloseMachine| match machine.action() {
        Some(Action::Discard { wake_at, .. }) => wake_at.get(),
        other => panic!("{other:?}"),
    };
    machine.handle(Event::Discarded((1 << 20) - 1), now);
    assert_eq!(wake_at(&machine), 1);
    machine.handle(Event::Discarded(1), now);
    assert_eq!(wake_at(&machine), GATHERED);
    machine.handle(Event::Tick, now + idle);
    assert_eq!(wake_at(&machine), 1, "what has come is asked for before the peer is called silent");
    machine.handle(Event::Discarded(7), now + SECOND);
    assert_eq!(machine.next_timeout(), Some(now + SECOND + idle), "silent since its last byte came");
    machine.handle(Event::Discarded(8 << 20), now + 2 * SECOND);
    assert_eq!(wake_at(&machine), 1, "it was slow once");
}
