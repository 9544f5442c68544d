//! `linger-probe check` as a build runs it: exit statuses, `--fail-on`, `--baseline`, `--quick`, `--for`, and
//! the report of a run that cannot be finished.

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::header::SERVER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::{get, put};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tower_linger::LingerLayer;
use tower_linger::axum::LingerListener;
use tower_linger_tests::server::{Running, accept_loop, listen, serve};

/// A probe that does not end by itself fails the test.
const BOUND: Duration = Duration::from_secs(120);

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linger-probe"));
    command.arg("check").args(args).env("RUST_BACKTRACE", "1").kill_on_drop(true);
    command
}

async fn probe(args: &[&str]) -> Output {
    tokio::time::timeout(BOUND, command(args).output()).await.expect("it ends").expect("it starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it prints UTF-8")
}

/// The JSON on stdout, which must match the schema.
#[track_caller]
fn json(stdout: &[u8]) -> Value {
    let found: Value = serde_json::from_slice(stdout).expect("JSON");
    let schema = serde_json::from_str(include_str!("../schema/report.schema.json")).expect("JSON");
    let schema = jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema");
    let errors: Vec<String> = schema.iter_errors(&found).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    found
}

#[track_caller]
fn assert_status(output: &Output, status: i32) {
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    assert!(!text(&output.stderr).contains("panicked"), "{output:?}");
}

fn app() -> Router {
    Router::new()
        .route("/", get(async || "hello\n").merge(put(async || (StatusCode::PAYLOAD_TOO_LARGE, "no\n"))))
}

fn url(server: &Running) -> String {
    format!("http://{}/", server.address)
}

/// Refuses uploads and loses the response.
async fn bare() -> Running {
    serve(listen().await, app())
}

/// Refuses uploads and loses nothing.
async fn layered() -> Running {
    serve(LingerListener::new(listen().await, LingerLayer::default()), app())
}

/// A port on which nobody listens.
async fn nobody() -> String {
    format!("http://{}/", listen().await.local_addr().expect("bound"))
}

/// Answers, ends its side, and keeps its socket for good.
async fn holding() -> Running {
    let connection = async |mut io: TcpStream| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(io.read_u8().await?);
        }
        io.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await?;
        io.shutdown().await?;
        tokio::io::copy(&mut io, &mut tokio::io::sink()).await?;
        std::future::pending::<()>().await;
        Ok::<_, std::io::Error>(())
    };
    accept_loop(listen().await, tower::service_fn(move |io: TcpStream| connection(io)))
}

/// One row that every server passes, and one that tells these two servers apart.
const ROWS: [&str; 4] = ["--only", "early.stops_at_error,close.requested", "-n", "1"];

#[tokio::test(flavor = "multi_thread")]
async fn only_failures_that_are_bad_enough_fail_the_run() {
    let server = holding().await;
    let url = url(&server);
    let held = ["--only", "release.silent,close.requested", "-n", "1", "--release-timeout", "1"];
    for (fail_on, status) in [
        (None, 0),
        (Some("loses-responses"), 0),
        (Some("breaks-protocol"), 0),
        (Some("can-be-held-open"), 1),
        (Some("harsh"), 1),
    ] {
        let fail_on: Vec<&str> = fail_on.into_iter().flat_map(|severity| ["--fail-on", severity]).collect();
        let output = probe(&[&[url.as_str()][..], &held, &fail_on].concat()).await;
        assert_status(&output, status);
        let told = text(&output.stdout);
        assert!(told.contains("FAIL  can be held open  release.silent"), "{told}");
        let excused = "0 of these failures count (--fail-on: ";
        assert_eq!(told.contains(excused), status == 0, "{told}");
    }
    let output = probe(&[&url, "--fail-on", "everything"]).await;
    assert_status(&output, 2);
    assert!(text(&output.stderr).contains("loses-responses"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baseline_lets_known_failures_pass_and_tells_new_and_healed_ones() {
    let (bare, layered) = (bare().await, layered().await);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (losing, whole) = (file("losing.json"), file("whole.json"));
    for (server, file, status) in [(&bare, &losing, 1), (&layered, &whole, 0)] {
        let output = probe(&[&[url(server).as_str(), "--format", "json"][..], &ROWS].concat()).await;
        assert_status(&output, status);
        std::fs::write(file, &output.stdout).expect("a temporary folder takes it");
    }
    for (server, baseline, status, told) in [
        (&bare, &losing, 0, "1 known: "),
        (&bare, &whole, 1, "1 new: "),
        (&layered, &losing, 0, "1 healed: "),
        (&layered, &whole, 0, "no failure, then or now"),
    ] {
        let url = url(server);
        let args = [&[url.as_str(), "--baseline", baseline][..], &ROWS].concat();
        let output = probe(&args).await;
        assert_status(&output, status);
        assert!(text(&output.stdout).contains(told), "{told}: {}", text(&output.stdout));

        let output = probe(&[&args[..], &["--format", "json"]].concat()).await;
        assert_status(&output, status);
        let gate = &json(&output.stdout)["gate"];
        assert_eq!(gate["fail_on"], "loses_responses");
        let list = told.split(' ').nth(1).unwrap_or_default().trim_end_matches(':');
        if told.ends_with(": ") {
            assert_eq!(gate["baseline"][list][0]["scenario"], "early.stops_at_error", "{gate:#}");
        }
        let output = probe(&[&args[..], &["--format", "junit"]].concat()).await;
        assert_eq!(text(&output.stdout).contains("<failure"), status == 1, "{}", text(&output.stdout));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_baseline_is_refused_before_a_server_is_bothered() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // If the server had been contacted, the error would be about that.
    let nobody = nobody().await;
    for (name, contents, line) in [
        ("missing", None, "No such file"),
        ("text", Some("hello"), "not a report of `linger-probe check --format json`"),
        ("other", Some("{\"version\": \"0.1.0\"}"), "missing field `schema_version`"),
        ("old", Some("{\"schema_version\": 0, \"targets\": []}"), "its schema version is 0"),
    ] {
        let file = folder.path().join(name);
        if let Some(contents) = contents {
            std::fs::write(&file, contents).expect("a temporary folder takes it");
        }
        let file = file.display().to_string();
        let output = probe(&[&nobody, "--baseline", &file]).await;
        assert_status(&output, 2);
        let said = text(&output.stderr);
        assert!(said.starts_with(&format!("error: --baseline {file}: ")) && said.contains(line), "{said}");
        assert_eq!((said.lines().count(), output.stdout.len()), (1, 0), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quick_is_one_try_of_what_waits_for_nothing() {
    let server = layered().await;
    let url = url(&server);
    let begun = Instant::now();
    // `axum::serve` does not set hyper's `half_close`.
    let output = probe(&[&url, "--quick", "--skip", "close.half_closed", "--format", "json"]).await;
    let took = begun.elapsed();
    assert_status(&output, 0);
    assert!(took < Duration::from_secs(5), "{took:?}");
    let found = json(&output.stdout);
    let options = &found["options"];
    assert_eq!((&options["repetitions"], &options["deadline_ms"]), (&1.into(), &5000.0.into()), "{options}");
    let rows = found["targets"][0]["rows"].as_array().expect("rows");
    assert!(rows.len() > 5 && rows.iter().any(|row| row["verdict"] == "pass"), "{rows:#?}");
    for row in rows {
        assert!(row["attempts"].as_array().is_some_and(|attempts| attempts.len() < 2), "{row:#}");
        let scenario = row["scenario"].as_str().expect("a name");
        assert!(!scenario.starts_with("release.") && scenario != "close.idle", "{scenario}");
    }
    // The announcement is true, and the rows that only wait are left out.
    let output = probe(&[&url, "--quick", "-n", "2", "--only", "close.requested", "--format", "json"]).await;
    assert_eq!(json(&output.stdout)["options"]["repetitions"], 2);
    let output = probe(&[&url, "--quick", "--only", "release"]).await;
    assert_status(&output, 2);
    assert!(text(&output.stderr).contains("no scenario is left by --only, --skip, --http and --quick"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_does_not_take_the_others_with_it() {
    let (server, dead) = (layered().await, nobody().await);
    let (live, dead) = (format!("live={}", url(&server)), format!("dead={dead}"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = folder.path().join("page.html");
    let args = [&[dead.as_str(), &live, "--report", page.to_str().expect("UTF-8")][..], &ROWS].concat();
    let output = probe(&args).await;
    assert_status(&output, 2);
    let (told, said) = (text(&output.stdout), text(&output.stderr));
    assert!(told.contains("2 pass, 0 fail") && told.contains("dead: not judged: "), "{told}");
    assert!(said.contains("error: ") && said.contains("cannot be reached"), "{said}");
    let page = std::fs::read_to_string(&page).expect("it is written");
    assert!(page.contains("Not judged") && page.contains("How live ends its connections"));

    let output = probe(&[&args[..], &["--format", "json"]].concat()).await;
    assert_status(&output, 2);
    let found = json(&output.stdout);
    assert_eq!((&found["gaps"][0]["name"], &found["targets"][0]["name"]), (&"dead".into(), &"live".into()));
    let output = probe(&[&args[..], &["--format", "junit"]].concat()).await;
    let found = text(&output.stdout);
    assert!(found.contains("<error") && found.contains("early.stops_at_error"), "{found}");

    // Without another server there are no results, and the JSON says so, too.
    let output = probe(&[&dead, "--format", "json"]).await;
    assert_status(&output, 2);
    assert_eq!(json(&output.stdout)["gaps"][0]["name"], "dead");
    let output = probe(&[&dead]).await;
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""));
}

/// The report keeps the rows that were done by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_takes_too_long_tells_what_is_known() {
    let server = holding().await;
    let url = url(&server);
    let args = [&url, "--only", "close.requested,release.silent", "-n", "1", "--release-timeout", "600"];
    let args = [&args[..], &["--deadline", "2"]].concat();
    let output = probe(&[&args[..], &["--format", "json"]].concat()).await;
    assert_status(&output, 2);
    assert!(text(&output.stderr).contains("--deadline"), "{output:?}");
    let found = json(&output.stdout);
    let target = &found["targets"][0];
    assert_eq!(target["rows"].as_array().map(Vec::len), Some(1), "{target:#}");
    assert_eq!(target["rows"][0]["verdict"], "pass", "{target:#}");
    assert!(target["lost"].as_str().is_some_and(|why| why.contains("--deadline")), "{target:#}");
    let output = probe(&[&args[..], &["--format", "junit"]].concat()).await;
    assert_status(&output, 2);
    let found = text(&output.stdout);
    assert!(found.contains("<error") && found.contains("name=\"close.requested\""), "{found}");
}

/// Ctrl-C interrupts the run in the middle.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_tells_what_is_known() {
    use nix::sys::signal::{Signal, kill};
    let (server, other) = (holding().await, layered().await);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = folder.path().join("page.html").display().to_string();
    let (first, second) = (format!("first={}", url(&server)), format!("second={}", url(&other)));
    for format in ["json", "junit", "text"] {
        let args =
            [&first, &second, "--only", "close.requested,release.silent", "-n", "1", "--format", format];
        let mut command = command(&[&args[..], &["--release-timeout", "600", "--report", &page]].concat());
        let mut probe = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut said = BufReader::new(probe.stderr.take().expect("piped")).lines();
        // Each row is printed when it is done, also to a pipe.
        let row = async {
            while let Some(line) = said.next_line().await.expect("a pipe") {
                if line == "first: pass  close.requested" {
                    return;
                }
            }
            panic!("the row did not come");
        };
        tokio::time::timeout(BOUND, row).await.expect("the first row comes");
        let id = probe.id().and_then(|id| i32::try_from(id).ok()).expect("it runs");
        kill(nix::unistd::Pid::from_raw(id), Signal::SIGINT).expect("it runs");
        let output = tokio::time::timeout(BOUND, async {
            let mut rest = String::new();
            while let Some(line) = said.next_line().await.expect("a pipe") {
                rest += &line;
            }
            (rest, probe.wait_with_output().await.expect("it is ours"))
        });
        let (rest, output) = output.await.expect("it ends");
        assert_eq!(output.status.code(), Some(2), "{rest}");
        assert!(rest.contains("error: interrupted"), "{rest}");
        let found = text(&output.stdout);
        match format {
            "json" => {
                let found = json(&output.stdout);
                let row = &found["targets"][0]["rows"][0];
                assert_eq!((&row["scenario"], &row["verdict"]), (&"close.requested".into(), &"pass".into()));
                assert_eq!(found["targets"][0]["lost"], "the run was interrupted");
                assert_eq!(found["gaps"][0]["name"], "second");
                assert!(found["interrupted"].is_string());
            }
            "junit" => assert!(found.contains("close.requested") && found.contains("<error"), "{found}"),
            _ => assert!(found.contains("1 pass, 0 fail") && found.contains("interrupted"), "{found}"),
        }
        let page = std::fs::read_to_string(&page).expect("it is written");
        assert!(page.contains("close.requested") && page.contains("interrupted"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_to_change_is_told_for_the_server_that_is_asked_for() {
    let server = bare().await;
    let url = url(&server);
    let output = probe(&[&[url.as_str(), "--for", "axum"][..], &ROWS].concat()).await;
    assert_status(&output, 1);
    let told = text(&output.stdout);
    assert!(told.contains("To change in axum") && told.contains("LingerListener"), "{told}");
    let output = probe(&[&[url.as_str(), "--for", "go", "--format", "json"][..], &ROWS].concat()).await;
    let remedies = &json(&output.stdout)["targets"][0]["remedies"];
    assert_eq!(remedies[0]["rows"], serde_json::json!(["early.stops_at_error"]), "{remedies:#}");
    assert!(remedies[0]["change"].as_str().is_some_and(|change| change.contains("io.Copy")), "{remedies:#}");
    // axum sends no `Server` header. A header that names nginx is believed.
    let output = probe(&[&[url.as_str()][..], &ROWS].concat()).await;
    assert!(!text(&output.stdout).contains("To change"), "{}", text(&output.stdout));
    let named = axum::middleware::map_response(async |mut response: Response| {
        response.headers_mut().insert(SERVER, HeaderValue::from_static("nginx/1.22.1"));
        response
    });
    let server = serve(listen().await, app().layer(named));
    let output = probe(&[&[self::url(&server).as_str()][..], &ROWS].concat()).await;
    let told = text(&output.stdout);
    assert!(told.contains("/, nginx/1.22.1)") && told.contains("lingering_close always;"), "{told}");
    let output = probe(&[&url, "--for", "netscape"]).await;
    assert_status(&output, 2);
    assert!(text(&output.stderr).contains("nginx"), "{output:?}");
}
