//! Every phase × every event, as a table and as the diagram in ARCHITECTURE.md.
//!
//! After a change that is meant: `UPDATE=1 cargo test -p linger-proto --test transitions`.

#![expect(
    clippy::disallowed_methods,
    reason = "the clock gives a point to count from, and is not read again"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use linger_proto::{
    CloseMachine, ClosePolicy, Cut, CutShownBy, Event, Failure, Notified, Outcome, Phase, Requests, Start,
};

/// Each event with the name that the table and the diagram give it.
fn events(now: Instant) -> [(&'static str, Event); 24] {
    [
        ("tick in time", Event::Tick),
        ("late tick", Event::Tick),
        ("write progress", Event::WriteProgress),
        ("flushed", Event::Flushed),
        (PEERS_TURN, Event::Flushed),
        (FRAMED_CUT, Event::Flushed),
        (UNFRAMED_CUT, Event::Flushed),
        (HALF_CLOSED, Event::Flushed),
        (LEFT_OPEN, Event::Flushed),
        ("no alert to send", Event::Notified(Notified::Nothing)),
        ("close_notify sent", Event::Notified(Notified::CloseNotify)),
        ("close_notify and FIN sent", Event::Notified(Notified::CloseNotifyAndFin)),
        ("half-closed", Event::HalfClosed),
        (PEER_DONE, Event::HalfClosed),
        ("bytes discarded", Event::Discarded(1)),
        ("nothing unacknowledged", Event::Unacked(Some(0))),
        ("all acknowledged", Event::Acknowledged { rtt: Duration::ZERO }),
        ("cannot gather", Event::CannotGather),
        ("peer's end of data", Event::PeerEnded),
        ("peer's FIN", Event::PeerFin),
        ("failed", Event::Failed(Failure::from_kind(ErrorKind::ConnectionReset))),
        ("shutdown deadline", Event::ShutdownBy(now)),
        ("evicted", Event::Evicted),
        ("abandoned", Event::Abandoned),
    ]
}

/// The name of the event that only a policy of its own makes different.
const PEERS_TURN: &str = "flushed; the peer closes first";

/// The names of the event where a connection is cut.
const FRAMED_CUT: &str = "flushed; cut, as its framing shows";
const UNFRAMED_CUT: &str = "flushed; cut, which only a reset can show";

/// The names of the event where the FIN was sent while the connection was served, and where the policy sends
/// none.
const HALF_CLOSED: &str = "flushed; half-closed before";
const LEFT_OPEN: &str = "flushed; left open by the policy";

/// The name of the event where the peer has nothing more to send.
const PEER_DONE: &str = "half-closed; the peer is done";

/// What was known when the close began, where the phase is reached, or the event means what its name says.
fn start(phase: Phase, name: &str) -> Start {
    let shown_by = match name {
        _ if phase == Phase::Settle => Some(CutShownBy::LateReset),
        UNFRAMED_CUT if phase == Phase::Flush => Some(CutShownBy::LateReset),
        FRAMED_CUT if phase == Phase::Flush => Some(CutShownBy::Framing),
        _ => None,
    };
    let mut start = Start::default();
    start.cut = shown_by.map(|shown_by| Cut { shown_by, outcome: Some(Outcome::Aborted) });
    start.half_closed = (phase == Phase::Flush && name == HALF_CLOSED).then_some(Notified::Nothing);
    if phase == Phase::HalfClose && name == PEER_DONE {
        start.requests = Requests::Over;
    }
    start
}

/// The policy under which the phase is reached, or the event means what its name says.
fn policy(phase: Phase, name: &str) -> ClosePolicy {
    let builder = ClosePolicy::builder();
    let peer_first = phase == Phase::PeerFirst || name == PEERS_TURN;
    let builder = if peer_first { builder.peer_closes_first(Duration::from_secs(1)) } else { builder };
    let left_open = phase == Phase::Flush && name == LEFT_OPEN;
    let builder = if left_open { builder.without_half_close() } else { builder };
    builder.build().expect("makes sense")
}

fn next(phase: Phase, name: &str, event: Event, now: Instant) -> Phase {
    let policy = policy(phase, name);
    let mut machine = CloseMachine::new(policy, start(phase, name), now);
    let steps = [
        Event::Flushed,
        Event::PeerEnded,
        Event::Notified(Notified::Nothing),
        Event::HalfClosed,
        Event::PeerFin,
    ];
    for step in steps {
        if machine.phase() != phase {
            machine.handle(step, now);
        }
    }
    assert_eq!(machine.phase(), phase);
    let late = if name == "late tick" { policy.longest() } else { Duration::ZERO };
    machine.handle(event, now + late);
    machine.phase()
}

fn rendered() -> String {
    let now = Instant::now();
    let mut table = String::from("| event |");
    for phase in Phase::ALL {
        write!(table, " {phase} |").expect("writes to a String");
    }
    table.push_str("\n|---|---|---|---|---|---|---|---|\n");
    let mut arrows: BTreeSet<(Phase, Phase, Vec<&str>)> = BTreeSet::new();
    for (name, event) in events(now) {
        write!(table, "| {name} |").expect("writes to a String");
        for phase in Phase::ALL {
            let to = next(phase, name, event, now);
            let cell = if to == phase { "·" } else { to.as_str() };
            write!(table, " {cell} |").expect("writes to a String");
            if to != phase {
                let mut names = arrows
                    .iter()
                    .find(|(a, b, _)| (*a, *b) == (phase, to))
                    .map(|(_, _, names)| names.clone())
                    .unwrap_or_default();
                arrows.retain(|(a, b, _)| (*a, *b) != (phase, to));
                names.push(name);
                arrows.insert((phase, to, names));
            }
        }
        table.push('\n');
    }
    let mut diagram = String::from("```mermaid\nstateDiagram-v2\n    direction LR\n    [*] --> flush\n");
    for (from, to, names) in arrows {
        writeln!(diagram, "    {from} --> {to}: {}", names.join(", ")).expect("writes to a String");
    }
    diagram.push_str("    done --> [*]\n```\n");
    format!(
        "{diagram}\nThe phase that each event leads to (· is the same phase). A limit that is reached ends \
         a close, too:\n\n{table}"
    )
}

#[test]
fn architecture_md_shows_the_transitions_as_they_are() {
    const BEGIN: &str = "<!-- begin: rendered by tests/transitions.rs -->\n";
    const END: &str = "<!-- end -->";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ARCHITECTURE.md");
    let page = std::fs::read_to_string(path).expect("ARCHITECTURE.md is there");
    let (head, rest) = page.split_once(BEGIN).expect("ARCHITECTURE.md has the begin mark");
    let (shown, tail) = rest.split_once(END).expect("ARCHITECTURE.md has the end mark");
    let real = rendered();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, format!("{head}{BEGIN}{real}{END}{tail}"))
            .expect("ARCHITECTURE.md can be written");
        return;
    }
    assert_eq!(
        shown, real,
        "ARCHITECTURE.md has drifted; if the change is meant, run this test with UPDATE=1"
    );
}

/// The table in words, so that a change of the machine cannot be waved through with `UPDATE=1` alone.
#[test]
fn phases_advance_only_on_the_answer_to_their_action_and_end_on_the_rest() {
    let now = Instant::now();
    for phase in Phase::ALL {
        for (name, event) in events(now) {
            let expected = match (phase, name) {
                (Phase::PeerFirst, "late tick" | "peer's end of data" | "peer's FIN") => Phase::Notify,
                (Phase::Flush, PEERS_TURN) => Phase::PeerFirst,
                // What is cut is given a moment beyond the deadline, so that what was sent can arrive.
                (Phase::Settle, "shutdown deadline") => Phase::Settle,
                (_, "late tick" | "failed" | "evicted" | "shutdown deadline" | "abandoned")
                | (Phase::Drain, "peer's FIN")
                | (Phase::Flush, LEFT_OPEN)
                | (Phase::HalfClose, PEER_DONE)
                | (Phase::Done, _) => Phase::Done,
                (Phase::Flush, UNFRAMED_CUT) => Phase::Settle,
                (Phase::Flush, "flushed") => Phase::Notify,
                (Phase::Flush, FRAMED_CUT) | (Phase::Notify, "no alert to send" | "close_notify sent") => {
                    Phase::HalfClose
                }
                (Phase::Flush, HALF_CLOSED)
                | (Phase::Notify, "close_notify and FIN sent")
                | (Phase::HalfClose, "half-closed") => Phase::Drain,
                (same, _) => same,
            };
            assert_eq!(next(phase, name, event, now), expected, "{name} in {phase}");
        }
    }
}
