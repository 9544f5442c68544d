//! What do the decisions of one close cost, without I/O?

use std::time::Instant;

use divan::Bencher;
use linger_proto::{CloseMachine, ClosePolicy, CloseReport, Event, Notified, Start};

fn main() {
    divan::main();
}

/// Closes a connection whose peer sends its FIN after this many reads.
#[divan::bench(args = [0, 1, 32])]
fn a_close(bencher: Bencher<'_, '_>, reads: usize) {
    let (policy, now) = (ClosePolicy::default(), Instant::now());
    bencher.bench(|| close(divan::black_box(policy), now, reads));
}

fn close(policy: ClosePolicy, now: Instant, reads: usize) -> Option<CloseReport> {
    let mut machine = CloseMachine::new(policy, Start::default(), now);
    machine.handle(Event::Flushed, now);
    machine.handle(Event::Notified(Notified::Nothing), now);
    machine.handle(Event::HalfClosed, now);
    for _ in 0..reads {
        let _ = machine.action();
        machine.handle(Event::Discarded(1 << 16), now);
    }
    machine.handle(Event::PeerFin, now);
    machine.report()
}
