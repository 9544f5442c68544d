//! The command as a user runs it: exit status, stdout and stderr, against axum and against addresses without
//! an HTTP server.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::routing::{get, put};
use tokio_rustls::TlsAcceptor;
use tower::{Layer, Service};
use tower_linger::LingerLayer;
use tower_linger::axum::{LingerListener, TlsLingerListener};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::server::{Http, Running, listen, serve};

mod probe;

use probe::{assert_refused, probe, raw, text};

fn app() -> Router {
    Router::new()
        .route("/", get(async || "hello\n").merge(put(async || (StatusCode::PAYLOAD_TOO_LARGE, "no\n"))))
        .route("/moved", get(async || (StatusCode::FOUND, [(LOCATION, "/elsewhere")])))
}

async fn bare() -> Running {
    serve(listen().await, app())
}

async fn layered() -> Running {
    serve(LingerListener::new(listen().await, LingerLayer::default()), app())
}

async fn over_tls(certs: &Certs, client_auth: ClientAuth) -> Running {
    let acceptor = TlsAcceptor::from(Arc::new(certs.server(&Version::ALL, client_auth)));
    let tls = LingerLayer::default().tls(acceptor);
    serve(TlsLingerListener::new(listen().await, tls), app())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_status_tells_a_server_that_loses_from_one_that_does_not() {
    let (bare, layered) = (bare().await, layered().await);
    let [bare, layered] = [bare, layered].map(|server| (format!("http://{}/", server.address), server));
    let only = ["--only", "early.stops_at_error,close.requested", "-n", "2"];
    let output = probe(&[&["check", &layered.0][..], &only].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).contains("2 pass, 0 fail"), "{}", text(&output.stdout));
    let announced = text(&output.stderr);
    assert!(announced.contains("2 scenarios, at most 13 connections, 64.00 MiB and 120 s"), "{announced}");

    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = folder.path().join("page.html");
    let report = ["--report", page.to_str().expect("UTF-8"), "--format", "json"];
    let named = format!("bare={}", bare.0);
    let output = probe(&[&["check", &named, &layered.0][..], &only, &report].concat()).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let verdict = |server: usize, row: usize| found["targets"][server]["rows"][row]["verdict"].clone();
    assert_eq!((verdict(0, 0), verdict(1, 0)), ("fail".into(), "pass".into()));
    assert_eq!(found["targets"][0]["name"], "bare");
    let page = std::fs::read_to_string(page).expect("it is written");
    assert!(page.contains("How 2 servers end their connections"));

    let output = probe(&[&["check", &bare.0, "--format", "junit"][..], &only].concat()).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("<testsuite "), "{}", text(&output.stdout));
}

/// The README's first command.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_loses_nothing_with_the_layer() {
    let output = probe(&["demo", "--runs", "1", "--upload-size", "64MiB", "--format", "json"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stderr).contains("with it 0 of the same 9."), "{}", text(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for (server, name, verdict) in
        [(0, "bare", "fail"), (1, "layered", "pass"), (2, "bare, TLS", "fail"), (3, "layered, TLS", "pass")]
    {
        let target = &found["targets"][server];
        assert_eq!((&target["name"], &target["rows"][0]["verdict"]), (&name.into(), &verdict.into()));
        assert_eq!(target["rows"][2]["scenario"], "early.reqwest");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_authority_a_client_certificate_and_header_fields_are_used() {
    let certs = Certs::make();
    let server = over_tls(&certs, ClientAuth::Required).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, contents: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, contents).expect("a temporary folder takes it");
        path.display().to_string()
    };
    let (cert, key) = certs.client_pem();
    let (ca, cert, key) = (file("ca", certs.authority_pem()), file("cert", cert), file("key", key));
    let url = format!("https://localhost:{}/", server.address.port());
    let only =
        ["--only", "early.stops_at_error,tls.close_notify,alert.certificate", "-n", "2", "-H", "X-A: b"];
    let identity = ["--cert", &cert, "--key", &key, "--ca", &ca];
    let output = probe(&[&["check", &url][..], &only, &identity].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).contains("3 pass, 0 fail"), "{}", text(&output.stdout));
    assert_refused(&["check", &url, "--ca", &ca], "give it a --cert").await;
    assert_refused(&["check", &url, "--ca", &key], "there is no PEM certificate in it").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_judged_is_one_line_and_status_2() {
    let certs = Certs::make();
    let (plain, tls) = (bare().await, over_tls(&certs, ClientAuth::None).await);
    let at = |scheme: &str, server: &Running, path: &str| format!("{scheme}://{}{path}", server.address);
    let free = listen().await.local_addr().expect("bound");
    let cases = [
        (format!("http://{free}/"), "cannot be reached"),
        (at("http", &plain, "/moved"), "redirects to /elsewhere"),
        (at("http", &tls, "/"), "speaks TLS: use https://"),
        (at("https", &plain, "/"), "does not speak TLS: use http://"),
        (at("https", &tls, "/"), "a certificate that is not trusted"),
        ("http://192.0.2.1/".into(), "--i-may-test-this-host"),
        ("http://does-not-exist.invalid/".into(), "has no address"),
        ("ftp://localhost/".into(), "only http:// and https://"),
        ("nonsense".into(), "not a URL"),
    ];
    for (url, line) in cases {
        assert_refused(&["check", &url], line).await;
    }
    let url = at("http", &plain, "/");
    let wrong = [
        (vec!["--only", "early,nothing"], "no scenario or group \"nothing\""),
        (vec!["--skip", "earl"], "no scenario or group \"earl\""),
        (vec!["--only", "early", "--http", "2"], "no scenario is left"),
        (vec!["--upload-size", "0"], "a size such as"),
        (vec!["--timeout", "0"], "seconds, more than 0"),
        (vec!["-H", "no colon"], "not a header field"),
        (vec!["--method", "A B"], "not a token"),
        (vec!["--path", "here"], "begins with /"),
        (vec!["--cert", "file"], "--key"),
        (vec!["--report", "/nonexistent/page.html"], "--report /nonexistent/page.html"),
        (vec!["--ladders", "/dev/null/pictures"], "--ladders /dev/null/pictures"),
    ];
    for (options, line) in wrong {
        assert_refused(&[&["check", &url][..], &options].concat(), line).await;
    }
}

/// `compare` was once called `peers`. Scripts may still use that name, but no help text shows it.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn peers_is_a_hidden_alias_of_compare() {
    for name in ["compare", "peers"] {
        assert_refused(&[name, "nosuchserver"], "there is no server \"nosuchserver\"").await;
    }
    let help = probe(&["help"]).await;
    let (help, completions) = (text(&help.stdout), probe(&["completions", "bash"]).await);
    assert!(help.contains("  compare ") && !help.contains("peers"), "{help}");
    assert!(!text(&completions.stdout).contains("peers"));
}

/// The report keeps the rows so far, and says where the run ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_in_the_middle_does_not_take_its_rows_with_it() {
    const FIRST_LOOK: u32 = 5;
    let listener = listen().await;
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    let mut connections = LingerLayer::default().layer(Http::new(app()));
    tokio::spawn(async move {
        for _ in 0..FIRST_LOOK {
            let (connection, _) = listener.accept().await.expect("the first look comes");
            tokio::spawn(connections.call(connection));
        }
        let (connection, _) = listener.accept().await.expect("the first row comes");
        drop(listener);
        connections.call(connection).await
    });
    let output = probe(&["check", &url, "--only", "early.stops_at_error,close.requested", "-n", "1"]).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("took no more connections"), "{output:?}");
    let found = text(&output.stdout);
    assert!(found.contains("1 pass, 0 fail") && found.contains("took no more connections"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_server_is_said_to_be_none() {
    use tokio::io::AsyncWriteExt;
    let ssh = raw(async |mut connection| _ = connection.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await).await;
    assert_refused(&["check", &ssh], "does not speak HTTP/1.1").await;
    let closing = raw(async |connection| drop(connection)).await;
    assert_refused(&["check", &closing], "without a response").await;
    let hanging = raw(async |connection| std::mem::forget(connection)).await;
    assert_refused(&["check", &hanging, "--timeout", "0.5"], "says nothing for 0.5 s").await;
    let https = hanging.replace("http", "https");
    assert_refused(&["check", &https, "--timeout", "0.5"], "says nothing for 0.5 s").await;
}
