//! `linger-probe compare` starts servers of all kinds, and tells them apart by what is known of each.
//!
//! A suite of its own: `make compare`. What it needs, `make needs` installs on Debian.

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// A probe that does not end by itself fails the test.
const BOUND: Duration = Duration::from_secs(600);
/// How often a verdict must come out the same.
const RUNS: usize = 10;

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linger-probe"));
    command.arg("compare").args(args).kill_on_drop(true);
    command
}

async fn compare(args: &[&str]) -> Output {
    tokio::time::timeout(BOUND, command(args).output()).await.expect("it ends").expect("it starts")
}

async fn json(args: &[&str]) -> Value {
    let output = compare(&[args, &["--format", "json"]].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The scenarios that the server of this name fails.
fn failed<'a>(found: &'a Value, name: &str) -> Vec<&'a str> {
    let targets = found["targets"].as_array().expect("targets");
    let target = targets.iter().find(|target| target["name"] == name);
    let target = target.unwrap_or_else(|| panic!("there is no {name}: {}", found["gaps"]));
    let rows = target["rows"].as_array().expect("rows").iter();
    rows.filter(|row| row["verdict"] == "fail").filter_map(|row| row["scenario"].as_str()).collect()
}

/// The verdicts of bare axum, layered axum, nginx and Go are the same in ten runs in a row.
#[tokio::test(flavor = "multi_thread")]
async fn axum_nginx_and_go_are_told_apart_every_time() {
    // The others depend on timing: on loopback, for example, a client may still read an early response after
    // a reset.
    let only = "early.stops_at_error,early.chunked,large.unread_upload,close.requested,close.pipelined,error,\
                flood.pipelined,flood.bad_request,flood.headers";
    // The upload is larger than what sockets buffer under any of the kernel's limits.
    let battery =
        ["--just", "check", "--scheme", "http", "--only", only, "-n", "2", "--upload-size", "64MiB"];
    let args = [&["nginx always", "go", "axum"], &battery[..]].concat();
    for run in 0..RUNS {
        let found = json(&args).await;
        let early = ["early.stops_at_error", "early.chunked"];
        let error = ["flood.pipelined", "flood.bad_request", "flood.headers"];
        let bare = [&early[..], &["large.unread_upload"], &error].concat();
        assert_eq!(failed(&found, "axum"), bare, "run {run}");
        assert_eq!(failed(&found, "axum layered"), [""; 0], "run {run}");
        assert_eq!(failed(&found, "nginx always"), [""; 0], "run {run}");
        // Go reads 256 KiB of what it has refused, and waits half a second before it closes.
        assert_eq!(failed(&found, "Go"), [&early[..], &error].concat(), "run {run}");
    }
}

/// Each server has a name, plain and over TLS, and none is missing.
fn assert_plain_and_over_tls(found: &[Value]) {
    let names: Vec<&str> = found.iter().map(|found| found["name"].as_str().expect("a name")).collect();
    let (tls, plain): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.ends_with(", TLS"));
    let tls: Vec<&str> = tls.iter().filter_map(|name| name.strip_suffix(", TLS")).collect();
    assert!(plain == tls && plain.len() >= 14, "{names:?}");
}

/// Each server has a small file and a large one, and refuses uploads.
#[tokio::test(flavor = "multi_thread")]
async fn every_server_serves_what_the_others_do() {
    let only = "early.reads_while_writing,large.unread_upload,close.requested";
    let found = json(&["--just", "check", "--only", only, "-n", "1"]).await;
    assert!(found["gaps"].is_null(), "{}", found["gaps"]);
    let targets = found["targets"].as_array().expect("targets");
    assert_plain_and_over_tls(targets);
    for target in targets {
        let attempt = |row: usize| &target["rows"][row]["attempts"][0];
        let refused = attempt(0)["status"].as_u64();
        // Apache reads the whole upload before it answers, so this row does not apply to it.
        let is_apache = target["name"].as_str().is_some_and(|name| name.starts_with("Apache"));
        assert_eq!(refused.is_none(), is_apache, "{target:#}");
        assert!(refused.is_none_or(|status| (400..500).contains(&status) && status != 404), "{target:#}");
        // HAProxy has no large response. A response that is cut short has a status, too.
        let large = attempt(1)["status"].as_u64();
        assert!(large.is_none_or(|status| status == 200), "{target:#}");
        assert_eq!(attempt(2)["status"], 200, "{target:#}");
    }
    let whole = |name: &str| {
        let target = targets.iter().find(|target| target["name"] == name).expect("it is there");
        assert_eq!(target["rows"][1]["attempts"][0]["body_bytes"], 8 << 20, "{target:#}");
    };
    ["nginx always", "hyper layered", "serve layered"].into_iter().for_each(whole);
}

/// All servers start, and those that linger lose nothing under load.
#[tokio::test(flavor = "multi_thread")]
async fn every_server_starts_and_those_that_linger_lose_nothing_under_load() {
    let found = json(&["--just", "load", "-d", "0.5", "-c", "8"]).await;
    assert!(found["gaps"].is_null(), "{}", found["gaps"]);
    let loads = found["load"].as_array().expect("loads");
    assert_plain_and_over_tls(loads);
    for load in loads {
        let name = load["name"].as_str().expect("a name");
        let lingers = name.contains("always") || name.contains("layered") || name.starts_with("Apache");
        for kind in load["kinds"].as_array().expect("kinds") {
            assert!(kind["requests"].as_u64() > Some(0), "{load:#}");
            assert!(!lingers || kind["complete"] == kind["requests"], "{load:#}");
        }
        assert!(load["server_cpu_ms"].as_f64() > Some(0.0), "{load:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_installed_is_a_named_gap() {
    let mut command =
        command(&["nginx off", "hyper", "--just", "load", "-d", "0.3", "-c", "2", "--scheme", "http"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = command.env("PATH", folder.path()).output().await;
    let output = output.expect("it starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("nginx off") && text.contains("not installed: there is no nginx in PATH"),
        "{text}"
    );
    assert!(text.contains("hyper layered"), "{text}");
}

/// After Ctrl-C there is one line, status 2, and no process is left.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_stops_every_server() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = command(&["nginx", "apache", "hyper", "--just", "load", "-d", "600"]);
    // The folder of each server is in this one, and each command line names it.
    let mut probe = command.env("TMPDIR", folder.path()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut said = BufReader::new(probe.stderr.take().expect("piped")).lines();
    let line = tokio::time::timeout(BOUND, said.next_line()).await.expect("it begins").expect("a pipe");
    assert!(line.is_some_and(|line| line.starts_with("loading ")), "the servers run");
    assert!(ours(&folder.path().display().to_string()) >= 6, "the servers run");
    let id = probe.id().and_then(|id| i32::try_from(id).ok()).expect("it runs");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGINT)
        .expect("it runs");
    let status = tokio::time::timeout(BOUND, probe.wait()).await.expect("it ends").expect("it is ours");
    assert_eq!(status.code(), Some(2));
    assert!(said.next_line().await.expect("a pipe").is_some_and(|line| line.contains("interrupted")));
    assert_eq!(ours(&folder.path().display().to_string()), 0, "nothing is left");
}

/// The number of processes whose command line names this folder.
fn ours(folder: &str) -> usize {
    let processes = procfs::process::all_processes().expect("Linux");
    let command_lines = processes.filter_map(|process| process.ok()?.cmdline().ok());
    command_lines.filter(|line| line.iter().any(|part| part.contains(folder))).count()
}
