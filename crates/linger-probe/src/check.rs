//! The battery against one server.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::judge::{Judged, judge};
use crate::model::{Row, TargetReport, Verdict};
use crate::run::run;
use crate::scenario::{Need, Scenario, Step};
use crate::source::Source;
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

/// Most that a run asks of each server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Connections, one after the other but for those that mostly wait.
    pub connections: u64,
    /// Bytes sent.
    pub bytes: u64,
}

/// What these scenarios will cost a server that can do everything.
#[must_use]
pub fn cost<'a>(scenarios: impl IntoIterator<Item = &'a Scenario>, options: &Options) -> Cost {
    let of_step = |step: &Step| match *step {
        Step::Upload | Step::UploadChunked => options.upload_bytes,
        Step::UploadSlowly { pieces, bytes, .. } => u64::from(pieces) * bytes as u64,
        Step::Repeat(_, bytes) | Step::RepeatRaw(bytes) => bytes as u64,
        _ => 0,
    };
    let tries = u64::from(options.repetitions);
    scenarios.into_iter().fold(Cost { connections: 0, bytes: 0 }, |cost, scenario| Cost {
        connections: cost.connections + tries,
        bytes: cost.bytes + tries * scenario.steps.iter().map(of_step).sum::<u64>(),
    })
}

/// Runs these scenarios, and calls `progress` after each: those that send, one after the other; those that mostly wait, beside
/// them, since a server's bounds are up to half a minute long.
///
/// A server that takes no more connections is [lost](TargetReport::lost): what was found until then stands.
///
/// # Cancel safety
/// Dropping it ends its connections.
pub async fn check(
    target: &Target,
    options: &Options,
    abilities: Abilities,
    scenarios: impl IntoIterator<Item = &'static Scenario>,
    mut progress: impl FnMut(&Row),
) -> TargetReport {
    let source = Source::open(target, options);
    let shared = Arc::new((target.clone(), options.clone()));
    let (mut rows, mut busy, mut waiting) = (BTreeMap::new(), Vec::new(), JoinSet::new());
    let mut lost = None;
    for (index, scenario) in scenarios.into_iter().enumerate() {
        if let Some(why) = missing(scenario, target, options, abilities) {
            let row = blank(scenario, why.to_owned());
            progress(&row);
            rows.insert(index, row);
        } else if scenario.mostly_waits() {
            let shared = shared.clone();
            waiting.spawn(async move { (index, tries(scenario, &shared, true).await) });
        } else {
            busy.push((index, scenario));
        }
    }
    let mut note = |index, tried: io::Result<Tried>| match tried {
        Ok(Tried { mut row, client }) => {
            row.ladder = source.ladder(client, row.ladder);
            progress(&row);
            rows.insert(index, row);
            true
        }
        Err(error) => {
            lost.get_or_insert_with(|| format!("it took no more connections: {error}"));
            false
        }
    };
    for (index, scenario) in busy {
        if !note(index, tries(scenario, &shared, false).await) {
            break;
        }
    }
    while let Some(joined) = waiting.join_next().await {
        match joined {
            Ok((index, row)) => _ = note(index, row),
            Err(error) => _ = note(usize::MAX, Err(io::Error::other(error))),
        }
    }
    let rows = rows.into_values().collect();
    TargetReport { name: target.name.clone(), url: target.url.clone(), ladders: source.ladders(), rows, lost }
}

/// A row, whose ladder is what the socket of this client noticed.
struct Tried {
    row: Row,
    client: Option<SocketAddr>,
}

/// All tries of a scenario, one after the other or beside each other.
async fn tries(
    scenario: &'static Scenario,
    shared: &Arc<(Target, Options)>,
    at_once: bool,
) -> io::Result<Tried> {
    let (mut runs, mut tries) = (JoinSet::new(), Vec::new());
    for _ in 0..shared.1.repetitions {
        let shared = shared.clone();
        runs.spawn(async move { run(scenario, &shared.0, &shared.1).await.map(|run| judge(scenario, run)) });
        if !at_once && let Some(joined) = runs.join_next().await {
            tries.push(joined.map_err(io::Error::other)??);
        }
    }
    while let Some(joined) = runs.join_next().await {
        tries.push(joined.map_err(io::Error::other)??);
    }
    Ok(summed_up(scenario, &shared.1, tries))
}

fn missing(
    scenario: &Scenario,
    target: &Target,
    options: &Options,
    abilities: Abilities,
) -> Option<&'static str> {
    let missing = |need: &Need| match need {
        Need::Tls | Need::Alpn | Need::ClientCertificate if target.tls.is_none() => {
            Some("this URL is plain HTTP")
        }
        Need::LargePath if options.large_path.is_none() => Some("no --large-path was given"),
        Need::WebsocketPath if options.websocket_path.is_none() => Some("no --websocket-path was given"),
        Need::Http2 if !abilities.http2 => Some("it does not speak HTTP/2 here"),
        Need::Alpn if !abilities.alpn => Some("it takes any application protocol"),
        Need::ClientCertificate if !abilities.client_certificate => Some("it asks for no client certificate"),
        _ => None,
    };
    scenario.needs.iter().find_map(missing)
}

fn summed_up(scenario: &'static Scenario, options: &Options, tries: Vec<Judged>) -> Tried {
    let (mut attempts, mut shown, mut client, mut shows_failure) = (Vec::new(), Vec::new(), None, false);
    for judged in tries {
        let Some(attempt) = judged.attempt else {
            let seconds = options.idle_timeout.as_secs_f64();
            let reason = format!("it keeps an idle connection for longer than {seconds} s");
            return Tried { row: blank(scenario, reason), client: None };
        };
        // The first, or the first that fails.
        if attempts.is_empty() || (!attempt.passed && !shows_failure) {
            (shown, client, shows_failure) = (judged.ladder, judged.client, !attempt.passed);
        }
        attempts.push(attempt);
    }
    let passed = attempts.iter().filter(|attempt| attempt.passed).count();
    let (verdict, reason) = if passed == attempts.len() {
        (Verdict::Pass, "each try went as it should".to_owned())
    } else {
        (Verdict::Fail, format!("{} of {}: {}", attempts.len() - passed, attempts.len(), scenario.loss))
    };
    let row = Row { verdict, reason, attempts, ladder: shown, ..blank(scenario, String::new()) };
    Tried { row, client }
}

fn blank(scenario: &'static Scenario, reason: String) -> Row {
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
