//! Reports with names of any kind and numbers of any size.

use std::time::{Duration, UNIX_EPOCH};

use arbitrary::Arbitrary;
use linger_probe::battery;
use linger_probe::model::gate::{Comparison, Gate, Place};
use linger_probe::model::load::{KindReport, LoadReport, Quantile, StatusCount, Times, Unopened};
use linger_probe::model::restart::{Client, Ending, Fate, Kind, Newcomers, RestartReport};
use linger_probe::model::{
    Attempt, End, Event, Gap, Ladders, Report, Row, Severity, Side, TargetReport, Verdict, What, restart,
};
use linger_probe::remedy::advise;

use crate::rendered;

/// A report.
#[derive(Debug, Arbitrary)]
pub struct Case {
    started: u32,
    targets: Vec<AnyTarget>,
    loads: Vec<AnyLoad>,
    restarts: Vec<AnyRestart>,
    gap: Option<(String, String)>,
    gate: Option<(u8, Option<String>)>,
    interrupted: Option<String>,
}

#[derive(Debug, Arbitrary)]
struct AnyTarget {
    name: String,
    url: String,
    server: Option<String>,
    of_packets: bool,
    rows: Vec<AnyRow>,
    lost: Option<String>,
}

#[derive(Debug, Arbitrary)]
struct AnyRow {
    scenario: u8,
    severity: u8,
    verdict: u8,
    reason: String,
    attempts: Vec<AnyAttempt>,
    ladder: Vec<(u32, bool, AnyWhat)>,
}

#[derive(Debug, Arbitrary)]
struct AnyAttempt {
    fault: Option<String>,
    saw: String,
    status: Option<u16>,
    body_bytes: u64,
    flags: u8,
    end: (u8, String),
    announced: Option<bool>,
    latency: Option<u32>,
    release: Option<u64>,
}

#[derive(Debug, Arbitrary)]
enum AnyWhat {
    Plain(u8),
    Data(u64),
    Alert(String),
    WriteFailed(u64),
    Missing(u64),
    Icmp(String),
}

#[derive(Debug, Arbitrary)]
struct AnyLoad {
    name: String,
    plan: String,
    took: u32,
    kinds: Vec<(u32, u32, u16, Vec<u32>)>,
    unopened: Option<(u64, String)>,
    held: Option<u32>,
}

#[derive(Debug, Arbitrary)]
struct AnyRestart {
    name: String,
    ended_by: String,
    kinds: Vec<(u8, Option<String>, Vec<(u8, u8, Option<u32>)>)>,
    last_end: Option<u32>,
    counts: [u32; 4],
    interrupted: bool,
}

/// Renders the report in all formats.
pub fn run(case: Case) {
    let mut report = Report {
        started: UNIX_EPOCH + Duration::from_secs(case.started.into()),
        targets: case.targets.into_iter().take(5).map(AnyTarget::report).collect(),
        load: case.loads.into_iter().take(9).map(AnyLoad::report).collect(),
        restarts: case.restarts.into_iter().take(3).map(AnyRestart::report).collect(),
        gaps: case.gap.into_iter().map(|(name, why)| Gap { name, why }).collect(),
        interrupted: case.interrupted,
        ..Report::default()
    };
    report.targets.iter_mut().for_each(|target| advise(target, None));
    report.gate = case.gate.map(|(severity, file)| {
        let place = |target: &TargetReport, row: &Row| Place {
            target: target.name.clone(),
            scenario: row.scenario.to_owned(),
        };
        let known = report.targets.iter().flat_map(|target| target.rows.iter().map(|row| place(target, row)));
        let known: Vec<Place> = known.step_by(2).collect();
        let (new, healed) = (known.clone(), known.clone());
        Gate {
            fail_on: severity_of(severity),
            baseline: file.map(|file| Comparison { file, new, known, healed }),
        }
    });
    rendered::report(&report, true);
}

fn severity_of(index: u8) -> Severity {
    use Severity::{BreaksProtocol, CanBeHeldOpen, Harsh, LosesResponses};
    [LosesResponses, BreaksProtocol, CanBeHeldOpen, Harsh][usize::from(index % 4)]
}

fn micros(count: u32) -> Duration {
    Duration::from_micros(count.into())
}

impl AnyTarget {
    fn report(self) -> TargetReport {
        TargetReport {
            name: self.name,
            url: self.url,
            server: self.server,
            ladders: if self.of_packets { Ladders::Packets } else { Ladders::SocketEvents },
            rows: self.rows.into_iter().take(12).map(AnyRow::row).collect(),
            lost: self.lost,
            remedies: Vec::new(),
        }
    }
}

impl AnyRow {
    fn row(self) -> Row {
        use Verdict::{Fail, NotApplicable, Pass, PassOnLinux};
        let scenario = &battery::ALL[usize::from(self.scenario) % battery::ALL.len()];
        let mut at = Duration::ZERO;
        let event = |(later, is_client, what): (u32, bool, AnyWhat)| {
            at += micros(later);
            Event { at, side: if is_client { Side::Client } else { Side::Server }, what: what.what() }
        };
        Row {
            scenario: scenario.name,
            title: scenario.title,
            clause: scenario.clause,
            verdict: [Pass, PassOnLinux, Fail, NotApplicable][usize::from(self.verdict % 4)],
            severity: severity_of(self.severity),
            reason: self.reason,
            attempts: self.attempts.into_iter().take(20).map(AnyAttempt::attempt).collect(),
            ladder: self.ladder.into_iter().take(60).map(event).collect(),
        }
    }
}

impl AnyAttempt {
    fn attempt(self) -> Attempt {
        let (kind, text) = self.end;
        let end = match kind % 7 {
            0 => End::Fin,
            1 => End::CloseNotify,
            2 => End::Reset,
            3 => End::Alert(text),
            4 => End::TimedOut,
            5 => End::Endless,
            _ => End::Failed(text),
        };
        Attempt {
            passed: self.flags & 1 != 0,
            fault: self.fault,
            saw: self.saw,
            status: self.status,
            body_bytes: self.body_bytes,
            complete: self.flags & 2 != 0,
            end,
            reset_later: self.flags & 4 != 0,
            announced: self.announced,
            latency: self.latency.map(micros),
            release: self.release.map(Duration::from_nanos),
        }
    }
}

impl AnyWhat {
    fn what(self) -> What {
        match self {
            Self::Plain(kind) => match kind % 7 {
                0 => What::Connect,
                1 => What::Handshake,
                2 => What::CloseNotify,
                3 => What::Fin,
                4 => What::Reset,
                5 => What::Release,
                _ => What::Again,
            },
            Self::Data(bytes) => What::Data(bytes),
            Self::Alert(name) => What::Alert(name),
            Self::WriteFailed(bytes) => What::WriteFailed(bytes),
            Self::Missing(bytes) => What::Missing(bytes),
            Self::Icmp(says) => What::Icmp(says),
        }
    }
}

impl AnyLoad {
    fn report(self) -> LoadReport {
        let kind = |(requests, complete, status, mut times): (u32, u32, u16, Vec<u32>)| {
            times.truncate(6);
            times.sort_unstable();
            let quantiles = [0.0, 0.5, 0.9, 0.99, 0.999, 1.0].into_iter().zip(&times);
            let quantiles = quantiles.map(|(quantile, time)| Quantile { quantile, time: micros(*time) });
            let latency = Times { count: requests.into(), quantiles: quantiles.collect() };
            KindReport {
                kind: "get",
                requests: requests.into(),
                complete: complete.into(),
                statuses: vec![StatusCount { status, count: complete.into() }],
                reset: requests.saturating_sub(complete).into(),
                ended: requests.into(),
                latency_corrected: latency.clone(),
                end: latency.clone(),
                latency,
                ..KindReport::default()
            }
        };
        LoadReport {
            url: format!("http://{}/", self.name),
            name: self.name,
            plan: self.plan,
            took: micros(self.took),
            kinds: self.kinds.into_iter().take(3).map(kind).collect(),
            connections: 1,
            unopened: self.unopened.map(|(connections, why)| Unopened { connections, why }),
            resumed: None,
            unsent: 0,
            held: self.held.map(micros),
            probe_cpu: self.held.map(micros),
            server_cpu: None,
        }
    }
}

impl AnyRestart {
    fn report(self) -> RestartReport {
        use Kind::{Http2, Idle, IdleRequest, InFlight, Upload, WebSocket};
        let client = |(fate, ending, ended): (u8, u8, Option<u32>)| Client {
            fate: [
                Fate::Answered,
                Fate::Closed,
                Fate::Cut,
                Fate::Unanswered,
                Fate::Reset,
                Fate::Silent,
                Fate::Open,
                Fate::Unknown,
            ][usize::from(fate % 8)],
            status: ended.map(|_| 200),
            sent_bytes: u64::from(fate) << 32,
            ending: [Ending::Fin, Ending::Reset, Ending::Client, Ending::Failed, Ending::Open]
                [usize::from(ending % 5)],
            ended: ended.map(micros),
            close_notify: ended.map(|ended| ended % 2 == 0),
            goaway: ended,
            close_frame: ended.map(|ended| ended % 3 == 0),
            close_code: ended.map(|_| 1001),
        };
        let kind = |(kind, skipped, clients): (u8, Option<String>, Vec<_>)| {
            let kind = [Idle, IdleRequest, InFlight, Upload, WebSocket, Http2][usize::from(kind % 6)];
            match skipped {
                Some(why) => restart::KindReport::skipped(kind, why),
                None => restart::KindReport::new(kind, clients.into_iter().take(20).map(client).collect()),
            }
        };
        let [answered, refused, reset, unanswered] = self.counts.map(u64::from);
        RestartReport {
            url: format!("http://{}/", self.name),
            name: self.name,
            ended_by: self.ended_by,
            ending: Duration::ZERO,
            kinds: self.kinds.into_iter().take(6).map(kind).collect(),
            last_end: self.last_end.map(micros),
            still_open: 1,
            newcomers: Newcomers {
                answered,
                refused,
                reset,
                unanswered,
                gap: self.last_end.map(micros),
                served_at_end: self.interrupted,
            },
            interrupted: self.interrupted,
        }
    }
}
