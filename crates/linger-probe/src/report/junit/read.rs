//! A reading as `JUnit` XML: a suite for each server, a case for each verdict on its connections.

use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestSuite};

use crate::quantity::counted;
use crate::read::Severity;
use crate::read::model::{Counts, Reading, RuleCount, VerdictCount};
use crate::report::reading;
use crate::shown::escaped_lines;

pub(in crate::report) fn render(reading: &Reading) -> String {
    let mut junit = quick_junit::Report::new("linger-probe read");
    let suites = reading.servers.iter().map(|row| suite(reading, &row.server.to_string(), &row.counts));
    junit.add_test_suites(suites);
    if let Some((servers, counts)) = reading::other_servers(reading, reading.servers.len()) {
        junit.add_test_suite(suite(reading, &counted(servers, "other server", "other servers"), &counts));
    }
    junit.add_test_suites(reading.interrupted.iter().map(|why| interrupted(why)));
    // `quick_junit` drops characters that XML does not allow, and writing to a string cannot fail.
    escaped_lines(&junit.to_string().expect("an XML writer into memory cannot fail"))
}

/// The first case is about all connections of the server, so that there is one for each server.
fn suite(reading: &Reading, server: &str, counts: &Counts) -> TestSuite {
    let mut suite = TestSuite::new(server);
    let kinds = reading.kinds.iter().zip(counts.kinds).filter(|(_, connections)| *connections > 0);
    suite.add_properties(
        kinds.map(|(count, connections)| Property::new(count.kind.key(), connections.to_string())),
    );
    let mut all = TestCase::new("read.connections", TestCaseStatus::success());
    let lossy = counted(counts.lossy, "lost a response", "lost a response");
    all.set_classname(server);
    all.set_system_out(format!("{}, {lossy}", counted(counts.connections, "connection", "connections")));
    suite.add_test_case(all);
    // The order of the reading: the worst first.
    for verdict in &reading.verdicts {
        let is_same = |count: &&RuleCount| (count.rule, count.side) == (verdict.rule, verdict.side);
        if let Some(count) = counts.verdicts.iter().find(is_same) {
            suite.add_test_case(case(reading, server, verdict, count.connections));
        }
    }
    suite
}

fn case(reading: &Reading, server: &str, verdict: &VerdictCount, connections: u64) -> TestCase {
    let what = format!("{}: {}", counted(connections, "connection", "connections"), verdict.title);
    let fails = verdict.severity <= reading.fail_on.unwrap_or(Severity::LosesResponses);
    let status = if fails {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(format!("{}: {what}", verdict.severity.name()));
        status.set_type(verdict.clause);
        status.set_description(format!(
            "{what} ({})\nthe worst of all servers, #{}: {}\nto change: {}",
            verdict.clause, verdict.example_number, verdict.example, verdict.remedy
        ));
        status
    } else {
        TestCaseStatus::success()
    };
    let side = match verdict.side {
        crate::model::Side::Client => "client",
        crate::model::Side::Server => "server",
    };
    let mut case = TestCase::new(format!("read.{}.{side}", verdict.rule.key()), status);
    case.set_classname(server);
    case.add_property(Property::new("severity", verdict.severity.name()));
    case.add_property(Property::new("clause", verdict.clause));
    if !fails {
        case.set_system_out(what);
    }
    case
}

fn interrupted(why: &str) -> TestSuite {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message(why);
    let mut suite = TestSuite::new("the rest");
    suite.add_test_case(TestCase::new("the rest", status));
    suite
}
