//! Does a close cost more when many others wait? Up to 15 000 real connections linger while others come and
//! go, and up to a million closes of the sans-I/O machine run on one timer wheel. Measures the processor time
//! and the memory of a close for each number. A cost that grows as the number to the power of 0.1 doubles
//! over three decades; this counts as flat.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::process::Command;
use std::time::{Duration, Instant};

use hierarchical_hash_wheel_timer::wheels::Skip;
use hierarchical_hash_wheel_timer::wheels::quad_wheel::QuadWheelWithOverflow;
use linger_proto::{Action, CloseMachine, ClosePolicy, Event, Notified, Start};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tower_linger_benches::clients::lingering;
use tower_linger_benches::process::{Server, have_descriptors, holds, serves};
use tower_linger_benches::results::{Bound, Results, Row, is_bench, median};
use tower_linger_benches::servers::{Config, serve};

const AT_ONCE: usize = 100;
/// How many connections come and go at each number.
const CHURN: usize = 4_000;
const LINGERING: [usize; 5] = [1_000, 2_000, 4_000, 8_000, 15_000];
const SIMULATED: [usize; 7] = [1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000];
const RUNS: usize = 3;

fn main() {
    if let Some(args) = serves() {
        if args[0] == "simulation" {
            return simulation(args[1].parse().expect("a number"));
        }
        let patience = Duration::from_secs(600);
        let policy = ClosePolicy::builder().drain_limit(patience).drain_idle_timeout(patience);
        let policy = policy.build().expect("it makes sense");
        // More than half of the descriptors that this process may have.
        let limit = NonZeroUsize::new(1_000_000);
        let config = Config { policy, limit, ..Config::from_args(&args) };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        return runtime.block_on(serve("0.0.0.0", config));
    }
    let [simulated_time, simulated_memory] = simulated();
    let [time, memory] = real();
    let grows = |what: &str, points: &[(f64, f64)]| {
        let row = Row::new(format!("{what} grows as the number to the power of"), growth(points), "");
        row.bounded(Bound::AtMost(0.1))
    };
    let last = |points: &[(f64, f64)]| points.last().map_or(0.0, |point| point.1);
    let most = time.last().map_or(0.0, |point| point.0);
    let rows = vec![
        Row::new("real connections lingering at once", most, "").bounded(Bound::AtLeast(15_000.0)),
        grows("processor time of a real connection", &time),
        Row::new("processor time of a real connection, among the most", last(&time), "µs"),
        grows("memory of a real close", &memory),
        Row::new("memory of a real close, among the most", last(&memory), "bytes"),
        grows("time of a simulated close", &simulated_time),
        Row::new("time of a simulated close, among the most", last(&simulated_time), "ns"),
        grows("memory of a simulated close", &simulated_memory),
        Row::new("memory of a simulated close, among the most", last(&simulated_memory), "bytes"),
    ];
    Results::new("scale", rows)
        .with("time of a close, µs", "real connection, with churn", time)
        .with(
            "time of a close, µs",
            "simulated close",
            simulated_time.into_iter().map(|(number, nanos)| (number, nanos / 1e3)).collect(),
        )
        .with("memory of a close, bytes", "real connection", memory)
        .with("memory of a close, bytes", "simulated close", simulated_memory)
        .tell();
}

/// The exponent of the power law that fits these points best: the slope of the line through their logarithms.
#[expect(clippy::cast_precision_loss, reason = "a few")]
fn growth(points: &[(f64, f64)]) -> f64 {
    let number = points.len() as f64;
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / number;
    let (mean_x, mean_y) = (mean(|log| log.0), mean(|log| log.1));
    let above: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let below: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    above / below
}

/// For each number of lingering connections: the processor time of one more that replaces one of them, and
/// the memory of each.
#[expect(clippy::cast_precision_loss, reason = "for a plot")]
fn real() -> [Vec<(f64, f64)>; 2] {
    have_descriptors(16_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let server = Server::start(&["layer", "plain"]);
    let (numbers, churn) = if is_bench() { (LINGERING, CHURN) } else { ([10, 20, 30, 40, 50], 10) };
    let mut held = VecDeque::new();
    let come = |held: &mut VecDeque<TcpStream>, more: usize| {
        runtime.block_on(async {
            let mut coming = JoinSet::new();
            for begun in 0..more {
                if begun >= AT_ONCE {
                    held.push_back(coming.join_next().await.expect("some are under way").expect("no panic"));
                }
                coming.spawn(lingering(address(server.address.port(), begun), None));
            }
            held.extend(coming.join_all().await);
        });
    };
    come(&mut held, 200);
    held.clear();
    wait_for_descriptors(&server, 100);
    let idle = server.holds();
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for number in numbers {
        let more = number - held.len();
        come(&mut held, more);
        let bytes = server.holds().bytes.saturating_sub(idle.bytes);
        memory.push((number as f64, bytes as f64 / number as f64));
        let before = server.cpu();
        for _ in 0..churn / AT_ONCE.min(churn) {
            held.drain(..AT_ONCE.min(number));
            come(&mut held, AT_ONCE.min(number));
        }
        let spent = server.cpu().saturating_sub(before);
        let churned = churn / AT_ONCE.min(churn) * AT_ONCE.min(number);
        times.push((number as f64, spent.as_secs_f64() * 1e6 / churned as f64));
        let lingering = server.holds().descriptors.saturating_sub(idle.descriptors);
        assert!(lingering + AT_ONCE as u64 >= number as u64, "{lingering} of {number} linger");
    }
    [times, memory]
}

/// Uses several loopback addresses in turn, because a client has only so many ports for each.
fn address(port: u16, number: usize) -> SocketAddr {
    (Ipv4Addr::new(127, 0, 0, 1 + u8::try_from(number % 8).unwrap_or(0)), port).into()
}

fn wait_for_descriptors(server: &Server, fewer_than: u64) {
    while server.holds().descriptors >= fewer_than {
        std::thread::yield_now();
    }
}

/// For each number of closes: the time and the memory of one. Each number runs in a process of its own.
#[expect(clippy::cast_precision_loss, reason = "for a plot")]
fn simulated() -> [Vec<(f64, f64)>; 2] {
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for number in SIMULATED.into_iter().filter(|number| is_bench() || *number < 10_000) {
        let runs: Vec<(f64, f64)> = (0..RUNS).map(|_| simulate_apart(number)).collect();
        times.push((number as f64, median(runs.iter().map(|run| run.0))));
        memory.push((number as f64, median(runs.iter().map(|run| run.1))));
    }
    [times, memory]
}

fn simulate_apart(number: usize) -> (f64, f64) {
    let run = Command::new(std::env::current_exe().expect("it runs"))
        .args(["serve", "simulation", &number.to_string()])
        .output()
        .expect("it starts");
    let said = String::from_utf8(run.stdout).expect("numbers");
    let mut numbers = said.split_whitespace().map(|number| number.parse().expect("a number"));
    (numbers.next().expect("a time"), numbers.next().expect("a size"))
}

/// Runs a million closes, this many at once. Prints the time of each in nanoseconds and its memory in bytes.
#[expect(clippy::cast_precision_loss, reason = "for a plot")]
fn simulation(number: usize) {
    let (rounds, idle) = (1_000_000_usize.div_ceil(number), holds(std::process::id()).bytes);
    let (mut spent, mut bytes) = (Duration::ZERO, 0);
    for round in 0..rounds {
        let began = Instant::now();
        let mut simulation = Simulation::new(number);
        spent += began.elapsed();
        if round == 0 {
            bytes = holds(std::process::id()).bytes.saturating_sub(idle);
        }
        let began = Instant::now();
        let closed = simulation.run();
        spent += began.elapsed();
        assert_eq!(closed, number, "each ends");
    }
    println!("{} {}", spent.as_nanos() as f64 / (rounds * number) as f64, bytes as f64 / number as f64);
}

/// Closes that are all draining, and the timer wheel that wakes them.
struct Simulation {
    closes: Vec<Simulated>,
    wheel: QuadWheelWithOverflow<u32>,
    began: Instant,
    millis: u64,
}

struct Simulated {
    machine: CloseMachine,
    peer: Peer,
}

/// What the peer does next, and when, in milliseconds from the beginning.
#[derive(Debug, Clone, Copy)]
enum Peer {
    /// Closes.
    Ends {
        at: u64,
    },
    /// Sends 64 KiB every so many milliseconds, this many times, and then closes.
    Sends {
        at: u64,
        every: u64,
        times: u32,
    },
    Silent,
}

impl Simulation {
    fn new(number: usize) -> Self {
        let (began, policy) = (Instant::now(), std::sync::Arc::new(ClosePolicy::default()));
        let closes = (0..number).map(|index| {
            let mut machine = CloseMachine::new(policy.clone(), Start::default(), began);
            while let Some(action) = machine.action() {
                let event = match action {
                    Action::Flush => Event::Flushed,
                    Action::Notify => Event::Notified(Notified::Nothing),
                    Action::HalfClose { .. } => Event::HalfClosed,
                    Action::Settle { .. } | Action::AwaitPeer { .. } | Action::Discard { .. } => break,
                };
                machine.handle(event, began);
            }
            Simulated { machine, peer: Peer::new(index as u64) }
        });
        let closes = closes.collect();
        let mut simulation = Self { closes, wheel: QuadWheelWithOverflow::default(), began, millis: 0 };
        (0..number).for_each(|index| simulation.sleep(index));
        simulation
    }

    /// Runs until each close has ended. Returns how many there were.
    fn run(&mut self) -> usize {
        let mut ended = 0;
        loop {
            match self.wheel.can_skip() {
                Skip::Empty => return ended,
                Skip::None => {}
                Skip::Millis(millis) => {
                    self.wheel.skip(millis);
                    self.millis += u64::from(millis);
                }
            }
            self.millis += 1;
            for index in self.wheel.tick() {
                let index = index as usize;
                self.wake(index);
                if self.closes[index].machine.report().is_some() {
                    ended += 1;
                } else {
                    self.sleep(index);
                }
            }
        }
    }

    /// Tells a machine what its peer has done, or that time has passed.
    fn wake(&mut self, index: usize) {
        let now = self.began + Duration::from_millis(self.millis);
        let Simulated { machine, peer } = &mut self.closes[index];
        let event = peer.event(self.millis);
        machine.handle(event, now);
    }

    /// Inserts a close into the wheel, at the time of the peer's next step or of the machine's timeout.
    fn sleep(&mut self, index: usize) {
        let Simulated { machine, peer } = &self.closes[index];
        let timeout = machine.next_timeout().expect("it has not ended");
        // The wheel counts milliseconds, so a deadline is rounded up.
        let timeout =
            u64::try_from(timeout.duration_since(self.began).as_micros().div_ceil(1000)).expect("minutes");
        let due = peer.at().map_or(timeout, |at| at.min(timeout));
        let delay = Duration::from_millis(due.saturating_sub(self.millis).max(1));
        let index = u32::try_from(index).expect("a million");
        self.wheel.insert_with_delay(index, delay).expect("within minutes");
    }
}

impl Peer {
    /// Four kinds in equal parts: closes after a round trip, ends an upload, stays silent, trickles for ever.
    fn new(index: u64) -> Self {
        let round_trip = 10 + index * 7 % 90;
        match index % 4 {
            0 => Self::Ends { at: round_trip },
            1 => Self::Sends { at: round_trip, every: 50, times: 8 },
            2 => Self::Silent,
            _ => Self::Sends { at: 1_000 + round_trip, every: 4_000, times: u32::MAX },
        }
    }

    fn at(self) -> Option<u64> {
        match self {
            Self::Ends { at } | Self::Sends { at, .. } => Some(at),
            Self::Silent => None,
        }
    }

    fn event(&mut self, now: u64) -> Event {
        match *self {
            Self::Ends { at } if at <= now => Event::PeerFin,
            Self::Sends { at, every, times } if at <= now => {
                let next = at + every;
                *self = if times == 1 {
                    Self::Ends { at: next }
                } else {
                    Self::Sends { at: next, every, times: times - 1 }
                };
                Event::Discarded(64 << 10)
            }
            Self::Ends { .. } | Self::Sends { .. } | Self::Silent => Event::Tick,
        }
    }
}
