//! One round of one server: quiet, then attacked.

use std::fmt;
use std::time::{Duration, Instant};

use tower_linger_benches::process::{Server as Process, cpu, holds};

use crate::clients::{GOOD_PRIORITY, HOSTILE_PRIORITY, Hostile, Times, prefer};
use crate::kernel::Kernel;
use crate::plan::{Plan, Server};
use crate::servers::{Counted, Running, SERVERS_PRIORITY};

/// What a round found.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Round {
    pub(crate) server: Server,
    pub(crate) quiet: Window,
    pub(crate) attacked: Window,
    /// At the end of the attack.
    pub(crate) hostile: Hostile,
    pub(crate) counted: Option<Counted>,
}

/// What one window found. Memory and descriptors are those at its end.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Window {
    pub(crate) times: Vec<Times>,
    /// Seconds of the server's processor per second.
    pub(crate) busy: f64,
    pub(crate) bytes: u64,
    pub(crate) descriptors: u64,
    pub(crate) kernel: Kernel,
}

/// The longest time that an attack may need, after its ramp, to have all of its connections.
const GATHERING: Duration = Duration::from_secs(15);

pub(crate) fn run(server: Server, plan: Plan) -> Round {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let mut running = runtime.block_on(Running::start(server));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let helper = |role: &str| {
        let arguments: Vec<&str> = [role].into_iter().chain(arguments.iter().map(String::as_str)).collect();
        Process::start(&arguments)
    };
    let mut good = helper("good");
    prefer(good.id(), GOOD_PRIORITY);
    prefer(running.id(), SERVERS_PRIORITY);
    let _warm_up = window(&running, &mut good);
    let quiet = window(&running, &mut good);
    let mut attackers = helper("attackers");
    prefer(attackers.id(), HOSTILE_PRIORITY);
    let hostile = gather(&mut attackers, plan);
    eprintln!("{} hostile connections stand", hostile.all());
    let attacked = window(&running, &mut good);
    let hostile = told(&mut attackers);
    let counted = running.counted();
    Round { server, quiet, attacked, hostile, counted }
}

/// Waits until all hostile connections are there, or as many as this server lets stand.
fn gather(attackers: &mut Process, plan: Plan) -> Hostile {
    let attack = plan.attack();
    std::thread::sleep(attack.ramp);
    let until = Instant::now() + GATHERING;
    loop {
        let hostile = told(attackers);
        // Some of them are between two connections at any time.
        if hostile.all() * 100 >= plan.hostile as u64 * 95 || Instant::now() > until {
            return hostile;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn told(attackers: &mut Process) -> Hostile {
    serde_json::from_str(&attackers.settle()).expect("numbers")
}

fn window(running: &Running, good: &mut Process) -> Window {
    let (before, began) = (cpu(running.id()), Instant::now());
    let times = serde_json::from_str(&good.settle()).expect("numbers");
    let busy = cpu(running.id()).saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64();
    let held = holds(running.id());
    Window { times, busy, bytes: held.bytes, descriptors: held.descriptors, kernel: Kernel::look() }
}

/// For whoever waits.
impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p99")?;
        for (quiet, attacked) in self.quiet.times.iter().zip(&self.attacked.times) {
            let lost = quiet.failed + attacked.failed;
            write!(f, " {:.0}→{:.0}", quiet.p99, attacked.p99)?;
            if lost > 0 {
                write!(f, " ({lost} lost)")?;
            }
        }
        let (quiet, attacked) = (&self.quiet, &self.attacked);
        write!(f, " µs, busy {:.3}→{:.3}, ", quiet.busy, attacked.busy)?;
        write!(f, "{}→{} KiB, ", quiet.bytes >> 10, attacked.bytes >> 10)?;
        write!(f, "{} descriptors, {:?}, ", attacked.descriptors, attacked.kernel)?;
        write!(f, "{:?}, {:?}", self.hostile, self.counted)
    }
}
