//! The battery against one server.

use std::io;

use crate::judge::{Judged, judge};
use crate::model::{Row, TargetReport, Verdict};
use crate::run::run;
use crate::scenario::{Need, Scenario};
use crate::target::{Options, Target};

/// What a server can do, so that what it cannot is not held against it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Abilities {
    /// It speaks HTTP/2.
    pub http2: bool,
    /// It refuses a protocol that it does not know.
    pub alpn: bool,
    /// It asks for a client certificate.
    pub client_certificate: bool,
}

/// Runs these scenarios, one after the other, and calls `progress` after each.
///
/// # Errors
/// Those of connecting: a server that cannot be reached has no verdict.
pub async fn check(
    target: &Target,
    options: &Options,
    abilities: Abilities,
    scenarios: impl IntoIterator<Item = &'static Scenario>,
    mut progress: impl FnMut(&Row),
) -> io::Result<TargetReport> {
    let mut rows = Vec::new();
    for scenario in scenarios {
        let row = match missing(scenario, target, options, abilities) {
            Some(why) => blank(scenario, why.to_owned()),
            None => tried(scenario, target, options).await?,
        };
        progress(&row);
        rows.push(row);
    }
    Ok(TargetReport { name: target.name.clone(), url: target.url.clone(), rows })
}

fn missing(
    scenario: &Scenario,
    target: &Target,
    options: &Options,
    abilities: Abilities,
) -> Option<&'static str> {
    let missing = |need: &Need| match need {
        Need::Tls if target.tls.is_none() => Some("this URL is plain HTTP"),
        Need::LargePath if options.large_path.is_none() => Some("no --large-path was given"),
        Need::WebsocketPath if options.websocket_path.is_none() => Some("no --websocket-path was given"),
        Need::Http2 if !abilities.http2 => Some("it does not speak HTTP/2 here"),
        Need::Alpn if !abilities.alpn => Some("it takes any application protocol"),
        Need::ClientCertificate if !abilities.client_certificate => Some("it asks for no client certificate"),
        _ => None,
    };
    scenario.needs.iter().find_map(missing)
}

async fn tried(scenario: &'static Scenario, target: &Target, options: &Options) -> io::Result<Row> {
    let (mut attempts, mut shown, mut shows_failure) = (Vec::new(), Vec::new(), false);
    for _ in 0..options.repetitions {
        let Judged { attempt, ladder } = judge(scenario, run(scenario, target, options).await?);
        let Some(attempt) = attempt else {
            let seconds = options.idle_timeout.as_secs_f64();
            return Ok(blank(scenario, format!("it keeps an idle connection for longer than {seconds} s")));
        };
        // The first, or the first that fails.
        if attempts.is_empty() || (!attempt.passed && !shows_failure) {
            (shown, shows_failure) = (ladder, !attempt.passed);
        }
        attempts.push(attempt);
    }
    let passed = attempts.iter().filter(|attempt| attempt.passed).count();
    let (verdict, reason) = if passed == attempts.len() {
        (Verdict::Pass, "each try went as it should".to_owned())
    } else {
        (Verdict::Fail, format!("{} of {}: {}", attempts.len() - passed, attempts.len(), scenario.loss))
    };
    Ok(Row { verdict, reason, attempts, ladder: shown, ..blank(scenario, String::new()) })
}

fn blank(scenario: &'static Scenario, reason: String) -> Row {
    Row {
        scenario: scenario.name,
        title: scenario.title,
        clause: scenario.clause,
        verdict: Verdict::NotApplicable,
        reason,
        attempts: Vec::new(),
        ladder: Vec::new(),
    }
}
