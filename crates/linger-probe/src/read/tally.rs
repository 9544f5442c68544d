//! Sums up connections, in bounded memory.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use linger_wire::trace::Connection;

mod lost;

use self::lost::lost;
use super::kind::Kind;
use super::model::{
    At, ConnectionReport, Counts, DoubtCount, DoubtKind, Examples, KindCount, Losses, Others, Reading,
    RuleCount, SCHEMA_VERSION, ServerRow, SeverityCount, Source, Span, VerdictCount,
};
use super::timeline::Histogram;
use super::verdict::{Rule, Severity, Verdict, judge};
use super::worst::{Badness, Worst};
use crate::model;

/// How many servers a reading lists.
pub const SERVERS: usize = 1000;
/// How many of the worst connections a reading has.
pub const WORST: usize = 10;
/// How many of them have the same worst verdict, unless there are no others.
const ALIKE: usize = 2;
/// How many examples a reading has of each kind.
pub const EXAMPLES: usize = 5;
/// How many servers are counted at once. If there are more, those with the fewest connections are forgotten.
const COUNTED: usize = 8 * SERVERS;

/// Sums up connections. Its memory does not grow with their number.
#[derive(Debug)]
pub struct Tally {
    span: Option<(Duration, Duration)>,
    connections: u64,
    packets: u64,
    kinds: [u64; Kind::ALL.len()],
    severities: [u64; Severity::ALL.len()],
    losses: Losses,
    servers: HashMap<SocketAddr, Counts>,
    others: Others,
    verdicts: HashMap<(Rule, model::Side), Said>,
    doubts: [u64; DoubtKind::ALL.len()],
    timeline: Histogram,
    /// By the worst verdict.
    worst: HashMap<(Rule, model::Side), Worst>,
    examples: Vec<Worst>,
}

/// How often a verdict was given, and about which connection it is worst.
#[derive(Debug)]
struct Said {
    connections: u64,
    worst: Badness,
    number: u64,
    verdict: Verdict,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            span: None,
            connections: 0,
            packets: 0,
            kinds: [0; Kind::ALL.len()],
            severities: [0; Severity::ALL.len()],
            losses: Losses::default(),
            servers: HashMap::new(),
            others: Others { servers: 0, counts: Counts::default() },
            verdicts: HashMap::new(),
            doubts: [0; DoubtKind::ALL.len()],
            timeline: Histogram::default(),
            worst: HashMap::new(),
            examples: Kind::ALL.iter().map(|_| Worst::new(EXAMPLES)).collect(),
        }
    }
}

impl Tally {
    /// Counts a connection, and returns the verdicts on it.
    pub fn add(&mut self, connection: &Connection) -> Vec<Verdict> {
        let (kind, verdicts) = (Kind::of(connection), judge(connection));
        let severity = verdicts.first().map(|verdict| verdict.severity);
        self.connections += 1;
        self.packets += connection.packets;
        self.kinds[kind.index()] += 1;
        if let Some(severity) = severity {
            self.severities[severity as usize] += 1;
        }
        let (from, to) = self.span.unwrap_or((connection.first_at, connection.last_at));
        self.span = Some((from.min(connection.first_at), to.max(connection.last_at)));
        self.timeline.add(connection.end.at, kind);
        for doubt in DoubtKind::ALL {
            let has = connection.doubts.iter().any(|found| DoubtKind::of(found) == doubt);
            self.doubts[doubt as usize] += u64::from(has);
        }
        let lost = lost(connection, severity);
        self.losses.add(&lost);
        self.count_server(connection, kind, &lost, &verdicts);
        self.keep(connection, kind, &verdicts);
        verdicts
    }

    /// How many connections have ended in which way so far, in the order of [`Kind::ALL`].
    #[must_use]
    pub fn kinds(&self) -> [u64; Kind::ALL.len()] {
        self.kinds
    }

    /// What was lost so far.
    #[must_use]
    pub fn losses(&self) -> Losses {
        self.losses
    }

    fn count_server(&mut self, connection: &Connection, kind: Kind, lost: &Losses, verdicts: &[Verdict]) {
        let counts = self.servers.entry(connection.server).or_default();
        counts.connections += 1;
        counts.lossy += lost.connections;
        counts.response_bytes_lost = counts.response_bytes_lost.saturating_add(lost.response_bytes);
        counts.kinds[kind.index()] += 1;
        for verdict in verdicts {
            counts.add_verdict(RuleCount { rule: verdict.rule, side: verdict.side, connections: 1 });
        }
        if self.servers.len() > COUNTED {
            self.forget_all_but(COUNTED / 2);
        }
    }

    /// Moves the servers with the fewest connections to the others.
    fn forget_all_but(&mut self, most: usize) {
        let mut servers: Vec<(SocketAddr, Counts)> = self.servers.drain().collect();
        servers.sort_by(|(a, of_a), (b, of_b)| of_b.connections.cmp(&of_a.connections).then(a.cmp(b)));
        for (_, counts) in servers.drain(most.min(servers.len())..) {
            self.others.servers += 1;
            self.others.counts.add(&counts);
        }
        self.servers.extend(servers);
    }

    /// Keeps the connection where it is one of the worst, or an example.
    fn keep(&mut self, connection: &Connection, kind: Kind, verdicts: &[Verdict]) {
        let badness = Badness::of(connection, verdicts);
        for verdict in verdicts {
            let key = (verdict.rule, verdict.side);
            let (number, worst) = (connection.number, badness);
            let said = || Said { connections: 0, worst, number, verdict: verdict.clone() };
            let said = self.verdicts.entry(key).or_insert_with(said);
            said.connections += 1;
            if badness < said.worst {
                *said = Said { connections: said.connections, worst, number, verdict: verdict.clone() };
            }
        }
        let key = verdicts.first().map(|verdict| (verdict.rule, verdict.side));
        let mut worst = key.map(|key| self.worst.entry(key).or_insert_with(|| Worst::new(WORST)));
        let is_bad = worst.as_ref().is_some_and(|worst| worst.wants(&badness));
        let examples = &mut self.examples[kind.index()];
        let is_example = examples.wants(&badness);
        if is_bad || is_example {
            let report = ConnectionReport::new(connection, verdicts.to_vec(), true);
            if is_example {
                examples.keep(badness, report.clone());
            }
            if let Some(worst) = &mut worst
                && is_bad
            {
                worst.keep(badness, report);
            }
        }
    }

    /// The sums, with what they were read from.
    #[must_use]
    pub fn finish(mut self, sources: Vec<Source>) -> Reading {
        self.forget_all_but(SERVERS);
        let mut servers: Vec<ServerRow> =
            self.servers.drain().map(|(server, counts)| ServerRow { server, counts }).collect();
        servers.sort_by(|a, b| b.counts.connections.cmp(&a.counts.connections).then(a.server.cmp(&b.server)));
        Reading {
            schema_version: SCHEMA_VERSION,
            version: env!("CARGO_PKG_VERSION"),
            sources,
            filters: Vec::new(),
            span: self.span.map(|(from, to)| Span { from: At(from), to: At(to) }),
            connections: self.connections,
            packets: self.packets,
            kinds: self.kind_counts(),
            severities: self.severity_counts(),
            losses: self.losses,
            servers,
            others: (self.others.servers > 0).then(|| self.others.clone()),
            verdicts: self.verdict_counts(),
            doubts: self.doubt_counts(),
            timeline: self.timeline.finish(),
            worst: Worst::of_all(self.worst.into_values(), WORST, ALIKE),
            examples: examples(self.examples),
            kernel: Vec::new(),
            fail_on: None,
            interrupted: None,
        }
    }

    fn share(&self, connections: u64) -> f64 {
        share(connections, self.connections)
    }

    fn kind_counts(&self) -> Vec<KindCount> {
        let count = |(kind, connections): (Kind, u64)| {
            let share = self.share(connections);
            KindCount { kind, connections, share }
        };
        Kind::ALL.into_iter().zip(self.kinds).map(count).collect()
    }

    fn severity_counts(&self) -> Vec<SeverityCount> {
        let count = |(severity, connections)| SeverityCount { severity, connections };
        Severity::ALL.into_iter().zip(self.severities).map(count).collect()
    }

    fn verdict_counts(&self) -> Vec<VerdictCount> {
        let count = |said: &Said| VerdictCount {
            rule: said.verdict.rule,
            side: said.verdict.side,
            severity: said.verdict.severity,
            title: said.verdict.rule.title(said.verdict.side),
            clause: said.verdict.clause,
            remedy: said.verdict.remedy,
            connections: said.connections,
            share: self.share(said.connections),
            example: said.verdict.reason.clone(),
            example_number: said.number,
        };
        let mut counts: Vec<VerdictCount> = self.verdicts.values().map(count).collect();
        counts.sort_by(|a, b| {
            let key = |count: &VerdictCount| (count.severity, u64::MAX - count.connections, count.rule);
            key(a).cmp(&key(b)).then_with(|| a.title.cmp(b.title))
        });
        counts
    }

    fn doubt_counts(&self) -> Vec<DoubtCount> {
        let count =
            |(name, connections): (DoubtKind, u64)| DoubtCount { name, meaning: name.meaning(), connections };
        let counts = DoubtKind::ALL.into_iter().zip(self.doubts).map(count);
        let mut counts: Vec<DoubtCount> = counts.filter(|count| count.connections > 0).collect();
        counts.sort_by_key(|count| Reverse(count.connections));
        counts
    }
}

/// A share from 0 to 1.
#[allow(clippy::cast_precision_loss, reason = "a share needs no more than the 53 bits of a float")]
fn share(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

fn examples(kept: Vec<Worst>) -> Vec<Examples> {
    let examples = Kind::ALL.into_iter().zip(kept);
    let examples = examples.map(|(kind, worst)| Examples { kind, connections: worst.finish() });
    examples.filter(|examples| !examples.connections.is_empty()).collect()
}
