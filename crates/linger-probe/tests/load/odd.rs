//! Loads of servers that do not answer as they should.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use linger_probe::find::find;
use linger_probe::load::{Plan, load};
use linger_probe::model::load::LoadReport;
use linger_probe::target::Options;
use linger_probe::trust::Trust;
use serde_json::{Value, json};

use super::{app, json as probe_json, layered, number, probe, url};

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";

/// Serves each connection with this function, in its own thread, for as long as the test lasts. Returns the
/// times at which connections arrived.
fn odd(serve: impl Fn(TcpStream) + Copy + Send + 'static) -> (SocketAddr, Receiver<Instant>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("bound");
    let (came, all) = channel();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let _ = came.send(Instant::now());
            std::thread::spawn(move || serve(connection));
        }
    });
    (address, all)
}

/// Reads a request without a body.
fn read_request(connection: &mut TcpStream) -> bool {
    let (mut bytes, mut read) = ([0; 4096], 0);
    while !bytes[..read].ends_with(b"\r\n\r\n") {
        match connection.read(&mut bytes[read..]) {
            Ok(more) if more > 0 => read += more,
            _ => return false,
        }
    }
    true
}

fn answer(connection: &mut TcpStream, bytes: &[u8]) {
    let _ = connection.write_all(bytes);
}

/// Loads the server without the first look, which would refuse some of these servers.
async fn loaded(url: &str, change: impl FnOnce(&mut Plan, &mut Options)) -> LoadReport {
    loaded_with(url, change, || ()).await
}

/// The same, with a function to call for each progress report.
async fn loaded_with(
    url: &str,
    change: impl FnOnce(&mut Plan, &mut Options),
    mut told: impl FnMut(),
) -> LoadReport {
    let mut plan = Plan {
        mix: "get".parse().expect("a mix"),
        connections: 4,
        duration: Duration::from_millis(300),
        ramp_up: Duration::ZERO,
        rate: None,
        keep_alive: false,
        resume: false,
        allowed: "404".parse().expect("a status"),
    };
    let mut options = Options::default();
    change(&mut plan, &mut options);
    let trust = Trust { insecure: true, ..Trust::default() };
    let target = find(url, &trust, &options, false).await.expect("a target");
    load(&target, &options, &plan, std::future::pending(), |_| told()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_500_to_everything_fails_the_run() {
    let sick = tower_linger_tests::server::serve(
        tower_linger_tests::server::listen().await,
        axum::Router::new().fallback(async || axum::http::StatusCode::INTERNAL_SERVER_ERROR),
    );
    let args = [&url(&sick), "--mix", "get=3,early413=1", "--upload-size", "1k", "-c", "2", "-d", "0.5"];
    let (found, status) = probe_json(&args).await;
    assert_eq!(status, Some(1), "{found:#}");
    for kind in found["load"][0]["kinds"].as_array().expect("kinds") {
        assert!(number(&kind["complete"]) > 0, "{found:#}");
        assert_eq!(kind["unexpected"], kind["complete"], "{found:#}");
        assert_eq!(kind["statuses"], json!([{ "status": 500, "count": kind["complete"] }]), "{found:#}");
        let lost = ["refused", "reset", "cut", "timeout", "unopened"].map(|lost| number(&kind[lost]));
        assert_eq!(lost, [0; 5], "{found:#}");
    }
    for (allowed, expected) in [("404,502-504", 1), ("404,5xx", 0)] {
        let (found, status) = probe_json(&[&args[..], &["--allow-status", allowed]].concat()).await;
        assert_eq!(status, Some(expected), "{found:#}");
    }
    let output = probe(&args).await;
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("have a status that it does not expect (500)"), "{text}");
    let output = probe(&[&args[..], &["--format", "junit"]].concat()).await;
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains("have another status (500)") && text.contains("failures=\"2\""), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_of_request_expects_its_own_statuses() {
    let server = layered().await;
    let plan = |mix| [url(&server), "--mix".to_owned(), mix, "-d".to_owned(), "0.3".to_owned()];
    let found = async |mix: &str, path: &str| {
        let args = plan(mix.to_owned());
        let args: Vec<&str> = args.iter().map(String::as_str).chain(["--path", path]).collect();
        probe_json(&args).await
    };
    // An upload that is accepted was not refused, and a GET of a missing path fails.
    let (refused, missing) = (found("early413", "/").await, found("get", "/missing").await);
    assert_eq!((refused.1, missing.1), (Some(0), Some(1)), "{refused:?} {missing:?}");
    let taken = axum::Router::new().route("/", axum::routing::any(async || "hello\n"));
    let taken = tower_linger_tests::server::serve(tower_linger_tests::server::listen().await, taken);
    let args = [&url(&taken), "--mix", "early413", "--upload-size", "1k", "-d", "0.3"];
    let (found, status) = probe_json(&args).await;
    assert_eq!(status, Some(1), "{found:#}");
    assert_eq!(found["load"][0]["kinds"][0]["statuses"][0]["status"], 200, "{found:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_sent_again_are_told() {
    let (address, _) = odd(|mut connection| {
        if read_request(&mut connection) {
            answer(&mut connection, HELLO);
        }
    });
    let url = format!("http://{address}/");
    let args = [&url, "--keep-alive", "--mix", "get", "-c", "2", "-d", "0.5", "--timeout", "1"];
    let (found, _) = probe_json(&args).await;
    let kind = &found["load"][0]["kinds"][0];
    // All requests except the first of each client find that their connection has ended.
    assert!(number(&kind["retried"]) > 0, "{found:#}");
    assert!(number(&kind["retried"]) + 2 >= number(&kind["complete"]), "{found:#}");
    let output = probe(&args).await;
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("and were sent again on a new one"), "{text}");

    // A server that announces the end is not at fault, and its connections are not used again.
    let announced =
        app().layer(axum::middleware::map_response(async |mut response: axum::response::Response| {
            response.headers_mut().insert("connection", "close".parse().expect("a value"));
            response
        }));
    let server = tower_linger_tests::server::serve(tower_linger_tests::server::listen().await, announced);
    let (found, status) = probe_json(&[&super::url(&server), args[1], "--mix", "get", "-d", "0.3"]).await;
    let kind = &found["load"][0]["kinds"][0];
    assert_eq!((status, &kind["retried"]), (Some(0), &Value::from(0)), "{found:#}");
    assert!(number(&kind["complete"]) > 50, "{found:#}");
}

/// Each kind of loss has its own count, and changes no other.
#[tokio::test(flavor = "multi_thread")]
async fn each_loss_has_its_own_count() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let nobody = free.local_addr().expect("bound");
    drop(free);
    let (cut, _) = odd(|mut connection| {
        if read_request(&mut connection) {
            answer(&mut connection, &HELLO[..HELLO.len() - 3]);
        }
    });
    let (reset, _) = odd(|mut connection| {
        if read_request(&mut connection) {
            let socket = socket2::SockRef::from(&connection);
            socket.set_linger(Some(Duration::ZERO)).expect("it is open");
        }
    });
    let (silent, _) = odd(|mut connection| while read_request(&mut connection) {});
    let (plain, _) = odd(|mut connection| answer(&mut connection, HELLO));
    let cases = [
        ("refused", format!("http://{nobody}/")),
        ("cut", format!("http://{cut}/")),
        ("reset", format!("http://{reset}/")),
        ("timeout", format!("http://{silent}/")),
        ("unopened", format!("https://{plain}/")),
    ];
    for (name, url) in cases {
        let report = loaded(&url, |plan, options| {
            plan.duration = Duration::from_millis(600);
            if name == "timeout" {
                // This is shorter than the run, so that few requests are under way at the end.
                options.timeout = Duration::from_millis(100);
            }
        })
        .await;
        let kind = serde_json::to_value(&report.kinds[0]).expect("JSON");
        assert!(number(&kind[name]) > 0, "{name}: {report:#?}");
        assert_eq!(
            number(&kind[name]) + report.kinds[0].unfinished,
            number(&kind["requests"]),
            "{report:#?}"
        );
        assert!(!report.passed(), "{report:#?}");
        let unopened = serde_json::to_value(&report).expect("JSON")["unopened"].clone();
        if ["refused", "unopened"].contains(&name) {
            assert_eq!(unopened["connections"], kind[name], "{report:#?}");
            assert!(unopened["why"].is_string(), "{report:#?}");
        } else {
            assert_eq!(unopened, Value::Null, "{report:#?}");
        }
    }
}

/// A server accepts connections and never answers. The run still ends, and reports what became of its
/// requests.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_when_its_time_is_up() {
    let (silent, _) = odd(|mut connection| while read_request(&mut connection) {});
    for rate in [None, Some(500.0)] {
        let report = loaded(&format!("http://{silent}/"), |plan, _| {
            (plan.rate, plan.duration) = (rate, Duration::from_secs(1));
        })
        .await;
        // The run takes one second, and one more of grace; the rest is for a slow machine. The timeout is 10
        // s.
        assert!((Duration::from_secs(2)..Duration::from_secs(9)).contains(&report.took), "{report:#?}");
        let kind = &report.kinds[0];
        assert_eq!((kind.requests, kind.unfinished, kind.lost()), (4, 4, 0), "{report:#?}");
        assert!(!report.passed(), "nothing was answered: {report:#?}");
        assert_eq!(report.unsent > 400, rate.is_some(), "{report:#?}");
    }
}

/// A server stalls for three quarters of the time. One request is under way then, and the requests that are
/// due meanwhile wait. The latency as measured does not include their wait.
#[tokio::test(flavor = "multi_thread")]
async fn latencies_are_told_as_measured_and_corrected() {
    static MOVES: OnceLock<()> = OnceLock::new();
    let (slow, _) = odd(|mut connection| {
        if read_request(&mut connection) {
            MOVES.wait();
            answer(&mut connection, HELLO);
        }
    });
    // Progress is reported every 250 ms.
    let mut told = 0;
    let report = loaded_with(
        &format!("http://{slow}/"),
        |plan, _| (plan.rate, plan.connections, plan.duration) = (Some(100.0), 1, Duration::from_secs(2)),
        || {
            told += 1;
            if told > 6 {
                let _ = MOVES.set(());
            }
        },
    )
    .await;
    let kind = &report.kinds[0];
    let median = |times: &linger_probe::model::load::Times| times.at(0.5).expect("values");
    assert!(median(&kind.latency_corrected) > 5 * median(&kind.latency), "{report:#?}");
    // The request that was under way is in both.
    assert!(kind.latency.at(1.0) > Some(median(&kind.latency_corrected)), "{report:#?}");
    let json = serde_json::to_value(kind).expect("JSON");
    assert!(json["latency"]["count"].is_u64() && json["latency_corrected"]["count"].is_u64(), "{json:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_begun_evenly_over_the_ramp_up() {
    let (server, came) = odd(|mut connection| {
        while read_request(&mut connection) {
            answer(&mut connection, HELLO);
        }
    });
    let begun = Instant::now();
    let report = loaded(&format!("http://{server}/"), |plan, _| {
        // The requests do not matter here.
        (plan.connections, plan.keep_alive, plan.rate) = (10, true, Some(100.0));
        (plan.ramp_up, plan.duration) = (Duration::from_secs(1), Duration::from_secs(2));
    })
    .await;
    assert!(report.passed() && report.connections == 10, "{report:#?}");
    let came: Vec<_> = came.try_iter().map(|at| at - begun).collect();
    assert_eq!(came.len(), 10);
    for (number, at) in (0..).zip(&came) {
        assert!(*at >= Duration::from_millis(100 * number), "{came:?}");
    }
    let output = probe(&[&format!("http://{server}/"), "-d", "1", "--ramp-up", "1"]).await;
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        output.status.code() == Some(2) && said.contains("--ramp-up 1 is part of --duration 1"),
        "{said}"
    );
}
