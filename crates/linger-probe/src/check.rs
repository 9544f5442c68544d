//! Runs scenarios against one server.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::judge::{Judged, judge};
use crate::model::{End, Row, TargetReport};
use crate::run::run;
use crate::scenario::{Need, Scenario};
use crate::source::Source;
use crate::target::{Options, Target};

mod sum;

use sum::{Tried, blank, summed_up};

/// What a server supports. Scenarios that need something else do not apply to it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "the abilities are independent")]
pub struct Abilities {
    /// It speaks HTTP/1.1, and does not use it only to refuse HTTP/1.1 clients.
    pub http1: bool,
    /// It speaks HTTP/2.
    pub http2: bool,
    /// It refuses an unknown application protocol (RFC 7301 §3.2).
    pub alpn: bool,
    /// It asks for a client certificate.
    pub client_certificate: bool,
    /// It answers a request while another connection is open and idle.
    pub concurrent: bool,
    /// The status of its answer to an ordinary request, if known.
    pub status: Option<u16>,
    /// Its `Server` header field.
    pub server: Option<String>,
}

impl Default for Abilities {
    /// What any HTTP/1.1 server supports.
    fn default() -> Self {
        Self {
            http1: true,
            http2: false,
            alpn: false,
            client_certificate: false,
            concurrent: true,
            status: None,
            server: None,
        }
    }
}

/// The most that a run takes from each server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Connections. They are opened one after the other, except those that mostly wait.
    pub connections: u64,
    /// Bytes of uploads and floods.
    pub bytes: u64,
}

/// What these scenarios cost a server that supports everything.
#[must_use]
pub fn cost<'a>(scenarios: impl IntoIterator<Item = &'a Scenario>, options: &Options) -> Cost {
    let tries = u64::from(options.repetitions);
    scenarios.into_iter().fold(Cost { connections: 0, bytes: 0 }, |cost, scenario| Cost {
        connections: cost.connections + tries,
        bytes: cost.bytes + tries * scenario.bytes(options.upload_bytes),
    })
}

/// Runs these scenarios, and calls `progress` after each.
///
/// Scenarios that send run one after the other. Those that mostly wait run beside them, because a server's
/// timeouts are up to half a minute long.
///
/// The check ends early if the server accepts no more connections, or at the options' deadline. The report
/// then has the rows that are done, and [`lost`](TargetReport::lost) says why the others are missing.
///
/// # Cancel safety
/// Dropping the future closes its connections.
pub async fn check(
    target: &Target,
    options: &Options,
    abilities: &Abilities,
    scenarios: impl IntoIterator<Item = &'static Scenario>,
    mut progress: impl FnMut(&Row),
) -> TargetReport {
    let deadline = Instant::now() + options.deadline;
    let source = Source::open(target, options);
    let shared =
        Arc::new(Shared { target: target.clone(), options: options.clone(), usual: abilities.status });
    let (mut rows, mut busy, mut waiting) = (BTreeMap::new(), Vec::new(), JoinSet::new());
    let mut lost = None;
    for (index, scenario) in scenarios.into_iter().enumerate() {
        if let Some(why) = missing(scenario, target, options, abilities) {
            let row = blank(scenario, why.to_owned());
            progress(&row);
            rows.insert(index, row);
        } else if scenario.mostly_waits() && abilities.concurrent {
            let shared = shared.clone();
            let tries = async move { in_time(deadline, tries(scenario, &shared, Pace::AtOnce)).await };
            waiting.spawn(async move { (index, tries.await) });
        } else {
            busy.push((index, scenario));
        }
    }
    // A server that serves one connection at a time would be blocked: such scenarios run last, and once.
    busy.sort_by_key(|(_, scenario)| scenario.mostly_waits());
    let mut note = |index, tried: Result<Tried, String>| match tried {
        Ok(Tried { mut row, client }) => {
            row.ladder = source.ladder(client, row.ladder);
            progress(&row);
            rows.insert(index, row);
            true
        }
        Err(why) => {
            lost.get_or_insert(why);
            false
        }
    };
    for (index, scenario) in busy {
        let pace = if scenario.mostly_waits() { Pace::Once } else { Pace::OneByOne };
        if !note(index, in_time(deadline, tries(scenario, &shared, pace)).await) {
            break;
        }
    }
    while let Some(joined) = waiting.join_next().await {
        match joined {
            Ok((index, row)) => _ = note(index, row),
            Err(error) => _ = note(usize::MAX, Err(error.to_string())),
        }
    }
    let rows = rows.into_values().collect();
    TargetReport {
        name: target.name.clone(),
        url: target.url.clone(),
        server: abilities.server.clone(),
        ladders: source.ladders(),
        rows,
        lost,
        remedies: Vec::new(),
    }
}

/// The result of all tries, or why there is none.
async fn in_time(deadline: Instant, all: impl Future<Output = io::Result<Tried>>) -> Result<Tried, String> {
    match timeout_at(deadline, all).await {
        Ok(tried) => tried.map_err(|error| format!("it took no more connections: {error}")),
        Err(_) => Err("the check ran out of time: raise --deadline, or run fewer scenarios".to_owned()),
    }
}

/// What all tries share.
struct Shared {
    target: Target,
    options: Options,
    /// The status of an ordinary request.
    usual: Option<u16>,
}

/// How often and when the tries of a scenario run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    OneByOne,
    AtOnce,
    /// Only one try.
    Once,
}

/// Runs all tries of a scenario.
async fn tries(scenario: &'static Scenario, shared: &Arc<Shared>, pace: Pace) -> io::Result<Tried> {
    let (mut runs, mut tries) = (JoinSet::new(), Vec::new());
    let number = match pace {
        Pace::Once => 1,
        Pace::OneByOne | Pace::AtOnce => shared.options.repetitions,
    };
    for _ in 0..number {
        let shared = shared.clone();
        runs.spawn(async move {
            let run = run(scenario, &shared.target, &shared.options).await?;
            io::Result::Ok(judge(scenario, run, shared.usual))
        });
        if pace == Pace::OneByOne
            && let Some(joined) = runs.join_next().await
        {
            tries.push(joined.map_err(io::Error::other)??);
            // A server that reads the whole upload, or answers without end, does so every time.
            let says_it_all = |judged: &Judged| match &judged.result {
                Ok((attempt, _)) => attempt.end == End::Endless,
                Err(_) => true,
            };
            if tries.len() == 1 && says_it_all(&tries[0]) {
                break;
            }
        }
    }
    while let Some(joined) = runs.join_next().await {
        tries.push(joined.map_err(io::Error::other)??);
    }
    Ok(summed_up(scenario, &shared.options, tries))
}

/// Why a scenario does not apply to this server.
fn missing(
    scenario: &Scenario,
    target: &Target,
    options: &Options,
    abilities: &Abilities,
) -> Option<&'static str> {
    if scenario.speaks_http1() && !abilities.http1 {
        return Some("it speaks HTTP/2 only");
    }
    let is_tls = target.tls.is_some();
    scenario.needs.iter().find_map(|need| {
        let (is_there, without_it) = match need {
            Need::Tls => (is_tls, PLAIN),
            Need::Alpn | Need::ClientCertificate if !is_tls => (false, PLAIN),
            Need::Alpn => (abilities.alpn, "it accepts any application protocol"),
            Need::ClientCertificate => (abilities.client_certificate, "it asks for no client certificate"),
            Need::LargePath => (options.large_path.is_some(), "no --large-path was given"),
            Need::WebsocketPath => (options.websocket_path.is_some(), "no --websocket-path was given"),
            Need::Http2 => (abilities.http2, "it does not speak HTTP/2 here"),
        };
        (!is_there).then_some(without_it)
    })
}

const PLAIN: &str = "this URL is plain HTTP";
