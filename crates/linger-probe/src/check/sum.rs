//! Sums up the tries of a scenario in a row.

use std::net::SocketAddr;

use crate::judge::{Judged, NotApplicable};
use crate::model::{Attempt, End, Row, Verdict};
use crate::received::LIMIT;
use crate::scenario::Scenario;
use crate::target::Options;

/// A row. Its ladder is what the socket of the client with this address noticed.
pub(super) struct Tried {
    pub(super) row: Row,
    pub(super) client: Option<SocketAddr>,
}

/// The row of these tries.
pub(super) fn summed_up(scenario: &'static Scenario, options: &Options, tries: Vec<Judged>) -> Tried {
    let (mut attempts, mut shown, mut client, mut shows_failure) = (Vec::new(), Vec::new(), None, false);
    let (mut not_applicable, mut severity) = (None, None);
    for judged in tries {
        let (attempt, means) = match judged.result {
            Ok(judged) => judged,
            Err(why) => {
                not_applicable.get_or_insert(why);
                continue;
            }
        };
        // The ladder shown is that of the first failed try, or else of the first.
        if attempts.is_empty() || (!attempt.passed && !shows_failure) {
            (shown, client, shows_failure) = (judged.ladder, judged.client, !attempt.passed);
        }
        if !attempt.passed {
            severity = severity.or(Some(means)).min(Some(means));
        }
        attempts.push(attempt);
    }
    if let (true, Some(why)) = (attempts.iter().all(|attempt| attempt.passed), not_applicable) {
        return Tried { row: blank(scenario, why_not(why, options)), client: None };
    }
    let (verdict, reason) = verdict(scenario, &attempts);
    // Without a failed try: what a failure would mean.
    let severity = severity.unwrap_or(scenario.severity);
    let row = Row { verdict, severity, reason, attempts, ladder: shown, ..blank(scenario, String::new()) };
    Tried { row, client }
}

/// The verdict on the tries, and the reason.
fn verdict(scenario: &Scenario, attempts: &[Attempt]) -> (Verdict, String) {
    let failed: Vec<_> = attempts.iter().filter_map(|attempt| attempt.fault.as_ref()).collect();
    let was_reset = |attempt: &Attempt| attempt.end == End::Reset || attempt.reset_later;
    // The most frequent fault stands for all; of several equally frequent ones, the first.
    let same = |fault: &String| failed.iter().filter(|other| **other == fault).count();
    if let Some(fault) = failed.iter().rev().max_by_key(|fault| same(fault)) {
        return (Verdict::Fail, format!("{} of {}: {fault}", failed.len(), attempts.len()));
    }
    let resets = attempts.iter().filter(|attempt| was_reset(attempt)).count();
    if resets > 0 && scenario.expect.allows_late_reset() {
        let reason = format!(
            "{resets} of {}: a reset followed the response. Linux clients keep what came before it; \
             those on Windows, macOS and the BSDs lose what they have not read yet",
            attempts.len()
        );
        return (Verdict::PassOnLinux, reason);
    }
    (Verdict::Pass, "each try went as it should".to_owned())
}

fn why_not(why: NotApplicable, options: &Options) -> String {
    match why {
        NotApplicable::StaysIdle => {
            let seconds = options.idle_timeout.as_secs_f64();
            format!("it keeps an idle connection for longer than {seconds} s: raise --idle-timeout")
        }
        NotApplicable::ReadsEverything => {
            "it read everything before it answered: name a request that it refuses (--method, --path)"
                .to_owned()
        }
        NotApplicable::Accepts(status) => format!("it accepts such a request, and answers {status}"),
        NotApplicable::NoAnswer => {
            let seconds = options.timeout.as_secs_f64();
            format!("for {seconds} s it neither answers such a request nor ends the connection")
        }
        NotApplicable::NoHandshake => "its TLS handshake did not finish in time".to_owned(),
        NotApplicable::OldVersion => "it speaks TLS 1.1".to_owned(),
        NotApplicable::TooLong => {
            format!(
                "its response is longer than {} MiB: name a smaller one (--path, --large-path)",
                LIMIT >> 20
            )
        }
        NotApplicable::NotWhole => "its response did not arrive whole: see close.requested".to_owned(),
        NotApplicable::NoCloseNotify => "it sends no close_notify that could be answered".to_owned(),
    }
}

/// A row without tries.
pub(super) fn blank(scenario: &'static Scenario, reason: String) -> Row {
    Row {
        scenario: scenario.name,
        title: scenario.title,
        clause: scenario.clause,
        severity: scenario.severity,
        verdict: Verdict::NotApplicable,
        reason,
        attempts: Vec::new(),
        ladder: Vec::new(),
    }
}
