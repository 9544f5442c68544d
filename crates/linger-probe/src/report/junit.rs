//! The report as `JUnit` XML, as build servers read it.

use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestSuite};

use super::{restart, words};
use crate::model::gate::Gate;
use crate::model::load::{KindReport, LoadReport, Unopened};
use crate::model::restart::RestartReport;
use crate::model::{Attempt, Gap, Report, Row, TargetReport, Verdict};
use crate::shown::escaped_lines;

pub(super) mod read;

pub(super) fn render(report: &Report) -> String {
    let mut junit = quick_junit::Report::new("linger-probe");
    junit.add_test_suites(report.targets.iter().map(|target| suite(target, report.gate.as_ref())));
    junit.add_test_suites(report.gaps.iter().map(gap));
    junit.add_test_suites(report.load.iter().map(load));
    junit.add_test_suites(report.restarts.iter().map(restarted));
    // `quick_junit` drops characters that XML does not allow, and writing to a string cannot fail.
    escaped_lines(&junit.to_string().expect("an XML writer into memory cannot fail"))
}

fn suite(target: &TargetReport, gate: Option<&Gate>) -> TestSuite {
    let mut suite = TestSuite::new(&target.name);
    suite.add_property(Property::new("url", &target.url));
    if let Some(server) = &target.server {
        suite.add_property(Property::new("server", server));
    }
    suite.add_test_cases(target.rows.iter().map(|row| case(target, row, gate)));
    if let Some(why) = &target.lost {
        suite.add_test_case(error("the rest", &target.name, why));
    }
    suite
}

/// A server that could not be judged at all.
fn gap(gap: &Gap) -> TestSuite {
    let mut suite = TestSuite::new(&gap.name);
    suite.add_test_case(error("everything", &gap.name, &gap.why));
    suite
}

fn error(what: &str, target: &str, why: &str) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message(why);
    let mut case = TestCase::new(what, status);
    case.set_classname(target);
    case
}

/// A suite with a case for each kind of request, and one for connections that could not be opened.
fn load(load: &LoadReport) -> TestSuite {
    let mut suite = TestSuite::new(format!("{} under load", load.name));
    suite.add_property(Property::new("url", &load.url));
    suite.add_property(Property::new("plan", &load.plan));
    let failure = |message: String| {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(message);
        status
    };
    let case = |name: &str, status| {
        let mut case = TestCase::new(format!("load.{name}"), status);
        case.set_classname(&load.name);
        case
    };
    suite.add_test_cases(load.kinds.iter().map(|kind: &KindReport| {
        let status = match (kind.lost(), kind.unexpected) {
            _ if kind.passed() => TestCaseStatus::success(),
            (0, 0) => failure(format!("none of {} responses arrived before the end", kind.requests)),
            (0, unexpected) => {
                let statuses = words::statuses(kind);
                failure(format!(
                    "{unexpected} of {} responses have another status ({statuses})",
                    kind.requests
                ))
            }
            (lost, _) => failure(format!("{lost} of {} responses did not arrive whole", kind.requests)),
        };
        case(kind.kind, status)
    }));
    if let Some(Unopened { connections, why }) = &load.unopened {
        let status = failure(format!("{connections} connections could not be opened: {why}"));
        suite.add_test_case(case("connect", status));
    }
    suite
}

/// A suite with a case for each kind of client.
fn restarted(report: &RestartReport) -> TestSuite {
    let mut suite = TestSuite::new(format!("{} restarted", report.name));
    suite.add_property(Property::new("url", &report.url));
    suite.add_property(Property::new("ended_by", &report.ended_by));
    suite.set_system_out(restart::aftermath(report));
    suite.add_test_cases(report.kinds.iter().map(|kind| {
        let sentence = restart::sentence(kind);
        let mut status = match (&kind.skipped, kind.lost) {
            (Some(_), _) => TestCaseStatus::skipped(),
            (None, 0) => TestCaseStatus::success(),
            _ => TestCaseStatus::non_success(NonSuccessKind::Failure),
        };
        if kind.skipped.is_some() || kind.lost > 0 {
            status.set_message(&sentence);
        }
        let mut case = TestCase::new(format!("restart.{}", restart::key(kind.kind)), status);
        case.set_classname(&report.name);
        case.set_system_out(sentence);
        case
    }));
    suite
}

fn case(target: &TargetReport, row: &Row, gate: Option<&Gate>) -> TestCase {
    let mut case = TestCase::new(row.scenario, status(target, row, gate));
    case.set_classname(&target.name);
    case.add_property(Property::new("title", row.title));
    case.add_property(Property::new("clause", row.clause));
    case.add_property(Property::new("severity", words::severity(row.severity)));
    let remedies = target.remedies.iter().filter(|remedy| remedy.rows.contains(&row.scenario));
    case.add_properties(remedies.map(|remedy| Property::new("remedy", remedy.change)));
    match row.verdict {
        Verdict::Pass | Verdict::PassOnLinux if !row.attempts.is_empty() => {
            case.set_system_out(tries(row));
        }
        // A failure has its tries in its description.
        Verdict::Pass | Verdict::PassOnLinux | Verdict::Fail | Verdict::NotApplicable => {}
    }
    case
}

/// The status of a row. A failure that does not count is skipped, so that a build server agrees with the exit
/// status.
fn status(target: &TargetReport, row: &Row, gate: Option<&Gate>) -> TestCaseStatus {
    match row.verdict {
        Verdict::Pass | Verdict::PassOnLinux => TestCaseStatus::success(),
        Verdict::Fail => {
            if let Some(excuse) = gate.and_then(|gate| gate.excuse(target, row)) {
                let mut status = TestCaseStatus::skipped();
                status.set_message(format!("fails, {}: {}", words::excuse(excuse), row.reason));
                return status;
            }
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(format!("{}: {}", words::severity(row.severity), row.reason));
            status.set_type(row.clause);
            status.set_description(format!("{} ({})\n{}", row.reason, row.clause, tries(row)));
            status
        }
        Verdict::NotApplicable => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(&row.reason);
            status
        }
    }
}

/// One line per try.
fn tries(row: &Row) -> String {
    let line = |(index, attempt): (usize, &Attempt)| {
        let outcome = if attempt.passed { "pass" } else { "FAIL" };
        format!("try {}: {outcome}: {}", index + 1, words::plain(&attempt.saw))
    };
    row.attempts.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}
