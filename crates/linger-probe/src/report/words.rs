//! The words that the formats share: verdicts, events, results.

use std::time::Duration;

use crate::model::gate::Excuse;
use crate::model::load::{KindReport, LoadReport, StatusCount, Unopened};
use crate::model::{Attempt, End, Event, Row, Severity, Side, TargetReport, Verdict, What};
/// Sizes and times.
pub(super) use crate::quantity::{milliseconds, size, span};
/// Escapes a text for a terminal.
pub(super) use crate::shown::escaped as plain;

pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::PassOnLinux => "pass (Linux)",
        Verdict::Fail => "FAIL",
        Verdict::NotApplicable => "n/a",
    }
}

pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::LosesResponses => "loses responses",
        Severity::BreaksProtocol => "breaks protocol",
        Severity::CanBeHeldOpen => "can be held open",
        Severity::Harsh => "harsh",
    }
}

pub(super) fn side(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}

/// `6 pass, 2 fail, 1 not applicable`, and why rows are missing, if some are.
pub(super) fn counts(target: &TargetReport) -> String {
    let lost = target.lost.as_ref().map(|why| format!("; then {why}")).unwrap_or_default();
    format!(
        "{} pass, {} fail, {} not applicable{lost}",
        target.count(Verdict::Pass) + target.count(Verdict::PassOnLinux),
        target.count(Verdict::Fail),
        target.count(Verdict::NotApplicable),
    )
}

/// How many of the tries passed: `8/10`. `None` without tries.
pub(super) fn tries(row: &Row) -> Option<String> {
    let passed = row.attempts.iter().filter(|attempt| attempt.passed).count();
    (!row.attempts.is_empty()).then(|| format!("{passed}/{}", row.attempts.len()))
}

/// What the tries saw, failures first. Each observation is listed once, with its number of tries.
pub(super) fn seen(row: &Row) -> String {
    const SHOWN: usize = 3;
    let mut kinds: Vec<(&Attempt, usize)> = Vec::new();
    let failed_first = [false, true].into_iter().flat_map(|passed| {
        let same = move |attempt: &&Attempt| attempt.passed == passed;
        row.attempts.iter().filter(same)
    });
    for attempt in failed_first {
        match kinds.iter_mut().find(|(kind, _)| kind.saw == attempt.saw) {
            Some((_, number)) => *number += 1,
            None => kinds.push((attempt, 1)),
        }
    }
    let times = |&(attempt, number): &(&Attempt, usize)| match number {
        _ if kinds.len() == 1 => attempt.saw.clone(),
        _ => format!("{} (×{number})", attempt.saw),
    };
    let mut parts: Vec<String> = kinds.iter().take(SHOWN).map(times).collect();
    if kinds.len() > SHOWN {
        parts.push(format!("and {} more", kinds.len() - SHOWN));
    }
    parts.join("; ")
}

pub(super) fn ending(end: &End) -> String {
    match end {
        End::Fin => "FIN".to_owned(),
        End::CloseNotify => "close_notify".to_owned(),
        End::Reset => "RST".to_owned(),
        End::Alert(name) => format!("alert {name}, then FIN"),
        End::TimedOut => "nothing: timed out".to_owned(),
        End::Endless => "nothing: data without end".to_owned(),
        End::Failed(why) => format!("failed: {why}"),
    }
}

/// Why a failure does not count.
pub(super) fn excuse(excuse: Excuse) -> &'static str {
    match excuse {
        Excuse::Known => "known from the baseline",
        Excuse::Mild => "less severe than --fail-on",
    }
}

/// A time since a beginning: in milliseconds, and from ten seconds on in seconds.
pub(super) fn since(time: Duration) -> String {
    match time.as_secs() {
        ..10 => milliseconds(time),
        10..10_000 => format!("{:.2} s", time.as_secs_f64()),
        10_000.. => span(time),
    }
}

/// A short name of an event, for the ladder.
pub(super) fn event(event: &Event) -> String {
    match (&event.what, event.side) {
        (What::Connect, Side::Client) => "connect".to_owned(),
        (What::Connect, Side::Server) => "connected".to_owned(),
        (What::Handshake, _) => "TLS handshake done".to_owned(),
        (What::Data(bytes), _) => format!("data {}", size(*bytes)),
        (What::CloseNotify, _) => "close_notify".to_owned(),
        (What::Alert(name), _) => format!("alert {name}"),
        (What::Fin, _) => "FIN".to_owned(),
        (What::Reset, _) => "RST".to_owned(),
        (What::WriteFailed(bytes), _) => format!("write failed after {}", size(*bytes)),
        (What::Release, _) => "socket released".to_owned(),
        (What::Again, _) => "sent again".to_owned(),
        (What::Missing(bytes), _) => format!("{} not captured", size(*bytes)),
        (What::Icmp(says), _) => format!("ICMP {says}"),
    }
}

/// The result of a load in a sentence, without the numbers of each kind of request.
pub(super) fn load(load: &LoadReport) -> String {
    let mut parts = vec![format!(
        "{:.0} responses a second for {:.1} s ({})",
        load.rate(),
        load.took.as_secs_f64(),
        load.plan
    )];
    if let Some(resumed) = load.resumed {
        parts.push(format!("{resumed} of {} handshakes resumed a session", load.connections));
    }
    parts.extend(trouble(load));
    if let Some(held) = load.held {
        parts.push(format!("the server holds a socket for {} after its end, on average", milliseconds(held)));
    }
    if let Some(cpu) = load.server_cpu {
        parts.push(format!("the server uses {} of processor time per request", milliseconds(cpu)));
    }
    if let Some(cpu) = load.probe_cpu {
        parts.push(format!("the probe uses {} per request", milliseconds(cpu)));
    }
    parts.join("; ")
}

/// The statuses: `200`, or `200 ×1990, 503 ×10` if there are several.
pub(super) fn statuses(kind: &KindReport) -> String {
    match kind.statuses.as_slice() {
        [] => "–".to_owned(),
        [found] => found.status.to_string(),
        several => {
            let one = |found: &StatusCount| format!("{} ×{}", found.status, found.count);
            several.iter().map(one).collect::<Vec<_>>().join(", ")
        }
    }
}

/// What went wrong in a load, or differed from the plan.
pub(super) fn trouble(load: &LoadReport) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(Unopened { connections, why }) = &load.unopened {
        parts.push(format!("{connections} connections could not be opened, the first one because {why}"));
    }
    for kind in &load.kinds {
        if kind.unexpected > 0 {
            let (statuses, name) = (statuses(kind), kind.kind);
            parts.push(format!(
                "{} whole responses to {name} have a status that it does not expect ({statuses}): \
                 --allow-status takes more",
                kind.unexpected
            ));
        }
    }
    let sum = |of: fn(&KindReport) -> u64| load.kinds.iter().map(of).sum::<u64>();
    let (retried, unfinished) = (sum(|kind| kind.retried), sum(|kind| kind.unfinished));
    if retried > 0 {
        parts.push(format!(
            "{retried} requests met a kept connection that the server had ended without a response, and \
             were sent again on a new one"
        ));
    }
    if unfinished > 0 {
        parts.push(format!("{unfinished} requests were unfinished at the end"));
    }
    if load.unsent > 0 {
        parts.push(format!(
            "{} requests were due and found no free connection before the end: more --connections, or a \
             lower --rate",
            load.unsent
        ));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}
