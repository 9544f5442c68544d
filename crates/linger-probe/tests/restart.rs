//! `linger-probe restart` as a user runs it, against servers in their own processes that die, or that shut
//! down gracefully.
#![cfg(unix)]

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tower_linger_tests::certs::Certs;
use tower_linger_tests::until::until;

/// A probe or a server that does not end by itself fails the test.
const BOUND: Duration = Duration::from_secs(120);

/// The servers' paths for requests that take some time.
const SLOW: [&str; 6] =
    ["--slow-path", "/slow", "--upload-path", "/upload", "--websocket-path", "/websocket"];

fn probe() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linger-probe"));
    command.kill_on_drop(true);
    command
}

/// A server in its own process, plain and over TLS.
struct Server {
    child: Child,
    plain: String,
    tls: String,
    files: TempDir,
}

impl Server {
    async fn start(options: &[&str]) -> Self {
        let (files, certs) = (tempfile::tempdir().expect("a temporary folder"), Certs::make());
        let (chain, key) = certs.server_pem();
        for (name, contents) in [("ca", certs.authority_pem()), ("cert", chain), ("key", key)] {
            std::fs::write(files.path().join(name), contents).expect("a temporary folder takes it");
        }
        let mut command = probe();
        command.args(["serve", "axum"]).args(options).stdout(Stdio::piped());
        command.stderr(Stdio::null());
        for option in ["cert", "key"] {
            command.arg(format!("--{option}")).arg(files.path().join(option));
        }
        let mut child = command.spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut line = async || lines.next_line().await.expect("a pipe").expect("it says where it listens");
        let (tls, plain) = (line().await, line().await);
        Self { child, plain, tls, files }
    }

    fn pid(&self) -> String {
        self.child.id().expect("it runs").to_string()
    }

    fn ca(&self) -> &Path {
        self.files.path()
    }

    /// Runs the probe, which ends the server by SIGTERM under load.
    async fn restart(&self, url: &str, options: &[&str]) -> Output {
        let mut command = probe();
        command.args(["restart", url, "--signal-pid", &self.pid(), "--settle", "0.3"]).args(options);
        if url.starts_with("https") {
            command.arg("--ca").arg(self.ca().join("ca"));
        }
        output(command).await
    }

    async fn json(&self, url: &str) -> (Value, Option<i32>) {
        let output = self.restart(url, &[&SLOW[..], &["--format", "json"]].concat()).await;
        let found: Result<Value, _> = serde_json::from_slice(&output.stdout);
        if let Ok(found) = &found {
            let schema = serde_json::from_str(include_str!("../schema/report.schema.json")).expect("JSON");
            jsonschema::validate(&schema, found).expect("it is as the schema says");
        }
        let found = found.unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (found["restarts"][0].clone(), output.status.code())
    }

    /// The status with which it exited. `None` if a signal killed it.
    async fn ended(mut self) -> Option<i32> {
        let ended = tokio::time::timeout(BOUND, self.child.wait()).await;
        ended.expect("the server ends").expect("it is a child").code()
    }
}

async fn output(mut command: Command) -> Output {
    tokio::time::timeout(BOUND, command.output()).await.expect("it ends").expect("it starts")
}

fn kind<'a>(found: &'a Value, name: &str) -> &'a Value {
    let kinds = found["kinds"].as_array().expect("kinds");
    kinds.iter().find(|kind| kind["kind"] == name).unwrap_or_else(|| panic!("no {name}: {found:#}"))
}

/// The values of one field of all clients of a kind.
fn all(found: &Value, name: &str, field: &str) -> Vec<Value> {
    let clients = kind(found, name)["clients"].as_array().expect("clients");
    clients.iter().map(|client| client[field].clone()).collect()
}

fn times(number: usize, value: impl Into<Value>) -> Vec<Value> {
    vec![value.into(); number]
}

/// The server has no handler for the signal: everything under way is lost, and no end is announced.
async fn dies(is_tls: bool) {
    let server = Server::start(&[]).await;
    let url = if is_tls { &server.tls } else { &server.plain };
    let (found, status) = server.json(url).await;
    assert_eq!(status, Some(1), "{found:#}");
    for lost in ["in_flight", "http2"] {
        assert_eq!(kind(&found, lost)["lost"], 4, "{lost}: {found:#}");
    }
    assert_eq!(kind(&found, "upload")["lost"], 4, "{found:#}");
    assert_eq!(all(&found, "idle", "fate"), times(4, "closed"), "{found:#}");
    assert_eq!(all(&found, "http2", "goaway"), times(4, Value::Null), "{found:#}");
    assert_eq!(all(&found, "web_socket", "close_frame"), times(4, false), "{found:#}");
    let notified = if is_tls { Value::from(false) } else { Value::Null };
    assert_eq!(all(&found, "idle", "close_notify"), times(4, notified), "{found:#}");
    assert_eq!(found["still_open"], 0, "{found:#}");
    let new = &found["newcomers"];
    assert!(new["refused"].as_u64() > Some(0) && new["served_at_end"] == false, "{found:#}");
    assert_eq!(server.ended().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_loses_what_is_under_way() {
    dies(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_loses_what_is_under_way_over_tls() {
    dies(true).await;
}

/// Requests under way are finished, and each end is announced if the protocol has a message for it.
async fn ends_well(is_tls: bool) {
    let server = Server::start(&["--layered", "--graceful"]).await;
    let url = if is_tls { &server.tls } else { &server.plain };
    let (found, status) = server.json(url).await;
    assert_eq!(status, Some(0), "{found:#}");
    assert_eq!(all(&found, "in_flight", "fate"), times(4, "answered"), "{found:#}");
    assert_eq!(all(&found, "upload", "fate"), times(4, "answered"), "{found:#}");
    assert_eq!(all(&found, "upload", "sent_bytes"), times(4, 256 << 10), "{found:#}");
    assert_eq!(all(&found, "http2", "fate"), times(4, "answered"), "{found:#}");
    assert_eq!(all(&found, "http2", "goaway"), times(4, 0), "{found:#}");
    assert_eq!(all(&found, "web_socket", "close_code"), times(4, 1001), "{found:#}");
    assert_eq!(all(&found, "idle", "ending"), times(4, "fin"), "{found:#}");
    let notified = if is_tls { Value::from(true) } else { Value::Null };
    assert_eq!(all(&found, "idle", "close_notify"), times(4, notified), "{found:#}");
    // The slow response takes longer than the signal does.
    assert!(found["last_end_ms"].as_f64() > Some(1.0), "{found:#}");
    assert_eq!(server.ended().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_as_it_should_loses_nothing() {
    ends_well(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_as_it_should_loses_nothing_over_tls() {
    ends_well(true).await;
}

/// The command changes nothing: all connections stay open, and new ones are answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_ends_nothing_is_told_and_what_does_not_apply_is_named() {
    let server = Server::start(&[]).await;
    let mut command = probe();
    command.args(["restart", &server.plain, "--command", "true", "--timeout", "2", "-c", "2"]);
    let output = output(command).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text.contains("no connection ended"), "{text}");
    assert!(text.contains("a server answers all the time"), "{text}");
    // The path refuses uploads without reading them.
    assert!(text.contains("it answers 413 before it has the body"), "{text}");
}

/// Another server takes the address after a gap, which new clients see.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_server_at_the_same_address_is_seen_and_the_gap_before_it() {
    let server = Server::start(&["--layered", "--graceful"]).await;
    let (url, pid) = (server.plain.clone(), server.pid());
    let port = url.trim_end_matches('/').rsplit_once(':').expect("a port").1.to_owned();
    let number: u16 = port.parse().expect("a port");
    let supervised = async move {
        assert_eq!(server.ended().await, Some(0));
        // To make a gap, this client is refused a hundred times, and so is the probe meanwhile.
        let mut refused = 0;
        until("new clients are refused", || {
            refused += u32::from(std::net::TcpStream::connect(("127.0.0.1", number)).is_err());
            refused > 100
        })
        .await;
        Server::start(&["--http", &port]).await
    };
    let mut command = probe();
    let end = format!("kill {pid}");
    command.args(["restart", &url, "--command", &end, "--settle", "60", "--format", "json"]).args(SLOW);
    let (output, _new) = tokio::join!(output(command), supervised);
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(0), "{found:#}");
    let restart = &found["restarts"][0];
    assert_eq!(
        (&restart["ended_by"], restart["kinds"].as_array().map(Vec::len)),
        (&format!("`{end}`").into(), Some(6))
    );
    let new = &restart["newcomers"];
    assert_eq!(new["served_at_end"], true, "{found:#}");
    assert!(new["refused"].as_u64() > Some(0) && new["gap_ms"].as_f64() > Some(100.0), "{found:#}");
}

/// The results so far are reported.
#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_is_stopped_tells_what_it_knows() {
    let server = Server::start(&[]).await;
    let mut command = probe();
    command.args(["restart", &server.plain, "--command", "true", "--timeout", "60", "--format", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let waits = async {
        while let Some(line) = lines.next_line().await.expect("a pipe") {
            if line.contains("waiting for the end") {
                return;
            }
        }
        panic!("it does not wait");
    };
    tokio::time::timeout(BOUND, waits).await.expect("it waits");
    let pid = nix::unistd::Pid::from_raw(child.id().expect("it runs").cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("it runs");
    let output =
        tokio::time::timeout(BOUND, child.wait_with_output()).await.expect("it ends").expect("a child");
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(2), "{found:#}");
    let restart = &found["restarts"][0];
    assert_eq!(restart["interrupted"], true, "{found:#}");
    assert_eq!(all(restart, "idle", "fate"), times(4, "unknown"), "{found:#}");
}

/// The report for a build server, and the page for a browser.
#[tokio::test(flavor = "multi_thread")]
async fn the_other_formats_have_a_line_for_each_kind() {
    let server = Server::start(&[]).await;
    let page = server.files.path().join("page.html");
    let options = ["--report", page.to_str().expect("UTF-8"), "--format", "junit"];
    let output = server.restart(&server.plain, &[&SLOW[..], &options].concat()).await;
    let junit = String::from_utf8_lossy(&output.stdout);
    assert!(junit.contains("name=\"restart.upload\"") && junit.contains("4 of 4 lost"), "{junit}");
    let page = std::fs::read_to_string(page).expect("it was written");
    assert!(page.contains("Requests in flight") && page.contains("4 of 4 lost"), "{page}");
}

/// Each of these is refused before the server is contacted: nobody listens there.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_run_is_refused_at_once() {
    let url = "http://127.0.0.1:9/";
    let refused = async |args: &[&str], why: &str| {
        let mut command = probe();
        command.args(["restart", url]).args(args);
        let output = output(command).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(why), "{args:?}: {said}");
    };
    // Linux assigns no process id as high as this.
    refused(&["--signal-pid", "2000000000"], "--signal-pid 2000000000: there is no such process").await;
    refused(&["--signal-pid", "1", "--signal", "NONE"], "not a signal").await;
    refused(&["--signal-pid", "0"], "0 is not in").await;
    refused(&[], "--signal-pid").await;
    refused(&["--signal-pid", "1", "--command", "true"], "cannot be used with").await;
    let mut child = Command::new("sleep").arg("60").kill_on_drop(true).spawn().expect("sleep");
    let pid = child.id().expect("it runs").to_string();
    refused(&["--signal-pid", &pid], "cannot be reached").await;
    assert!(child.try_wait().expect("it is a child").is_none(), "it was not signalled");
}
