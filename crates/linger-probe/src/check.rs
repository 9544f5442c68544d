//! The battery against one server.

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

/// What a server can do, so that what it cannot is not held against it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is an ability of its own")]
pub struct Abilities {
    /// It speaks HTTP/1.1, other than to say that it does not.
    pub http1: bool,
    /// It speaks HTTP/2.
    pub http2: bool,
    /// It refuses a protocol that it does not know.
    pub alpn: bool,
    /// It asks for a client certificate.
    pub client_certificate: bool,
    /// It answers a request while another connection is open.
    pub concurrent: bool,
    /// The status of its answer to an ordinary request, where that is known.
    pub status: Option<u16>,
    /// What it calls itself, in its `Server` field.
    pub server: Option<String>,
}

impl Default for Abilities {
    /// Those of any server of HTTP/1.1.
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

/// Most that a run asks of each server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Connections, one after the other but for those that mostly wait.
    pub connections: u64,
    /// Bytes of uploads and floods.
    pub bytes: u64,
}

/// What these scenarios will cost a server that can do everything.
#[must_use]
pub fn cost<'a>(scenarios: impl IntoIterator<Item = &'a Scenario>, options: &Options) -> Cost {
    let tries = u64::from(options.repetitions);
    scenarios.into_iter().fold(Cost { connections: 0, bytes: 0 }, |cost, scenario| Cost {
        connections: cost.connections + tries,
        bytes: cost.bytes + tries * scenario.bytes(options.upload_bytes),
    })
}

/// Runs these scenarios, and calls `progress` after each: those that send, one after the other; those that
/// mostly wait, beside them, since a server's bounds are up to half a minute long.
///
/// A server that takes no more connections is [lost](TargetReport::lost), and so is one whose check is not
/// done at the options' deadline: what was found until then stands.
///
/// # Cancel safety
/// Dropping it ends its connections.
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
    // A server of one connection at a time is asked to wait last, and once.
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

/// What the tries come to, or why they come to nothing.
async fn in_time(deadline: Instant, all: impl Future<Output = io::Result<Tried>>) -> Result<Tried, String> {
    match timeout_at(deadline, all).await {
        Ok(tried) => tried.map_err(|error| format!("it took no more connections: {error}")),
        Err(_) => Err("the check ran out of time: raise --deadline, or run fewer scenarios".to_owned()),
    }
}

/// What all tries have in common.
struct Shared {
    target: Target,
    options: Options,
    /// The status of an ordinary request.
    usual: Option<u16>,
}

/// How the tries of a scenario follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    OneByOne,
    AtOnce,
    /// There is only one.
    Once,
}

/// All tries of a scenario.
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
            // What has read everything once does so again, and so does what has no end.
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
