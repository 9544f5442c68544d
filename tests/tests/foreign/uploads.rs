//! Uploads that are answered early: the client gets the answer.

use std::ffi::OsStr;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tower_linger::axum::LingerListener;
use tower_linger::{LingerLayer, RequestLayer};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::nginx::Nginx;
use tower_linger_tests::server::{BareTls, Http, Running, accept_loop, listen, serve};

use super::programs::{file, python, python_uploads, run};
use super::servers::{MESSAGE, app, servers, url};
use super::{TRIES, UPLOAD_BYTES};

/// The most tries of a client where losing the answer is a race.
const MOST_TRIES: usize = 300;

/// CONFORMANCE 6, RFC 9112 §9.6.
#[tokio::test(flavor = "multi_thread")]
async fn python_gets_the_early_413() {
    let certs = Certs::make();
    for (name, server, authority) in servers(&certs).await {
        for library in ["http.client", "urllib", "requests"] {
            for path in ["/at-once", "/midway"] {
                let url = url(&server, authority.is_some(), path);
                let complete = python_uploads(library, &url, authority.as_ref()).await;
                assert_eq!(complete, format!("{TRIES}\n"), "{library}, {name}, {path}");
            }
        }
    }
    // Without the layer the same clients lose it, so the layer makes the difference.
    let bare = serve(listen().await, app());
    assert_eq!(python_uploads("http.client", &url(&bare, false, "/at-once"), None).await, "0\n");
    let tls = Arc::new(certs.server(&[Version::Tls13], ClientAuth::None));
    let bare = accept_loop(listen().await, BareTls::new(TlsAcceptor::from(tls), Http::new(app())));
    let authority = file(certs.authority_pem());
    assert_eq!(python_uploads("requests", &url(&bare, true, "/at-once"), Some(&authority)).await, "0\n");
}

/// CONFORMANCE 6 and 11: with `Expect: 100-continue`, which curl sends by default, and without.
#[tokio::test(flavor = "multi_thread")]
async fn curl_gets_the_early_413() {
    let certs = Certs::make();
    let body = file(&"x".repeat(UPLOAD_BYTES));
    for (name, server, authority) in servers(&certs).await {
        for expect in ["Expect: 100-continue", "Expect:"] {
            for path in ["/at-once", "/midway"] {
                for _ in 0..TRIES {
                    let url = url(&server, authority.is_some(), path);
                    let mut args: Vec<&OsStr> =
                        ["-sS", "--http1.1", "-m", "60", "-w", "%{http_code}", "-H", expect]
                            .map(OsStr::new)
                            .to_vec();
                    if let Some(authority) = &authority {
                        args.extend([OsStr::new("--cacert"), authority.path().as_os_str()]);
                    }
                    args.extend([OsStr::new("-T"), body.path().as_os_str(), OsStr::new(&url)]);
                    let answer = run("curl", &args, "").await;
                    assert_eq!(answer, format!("{MESSAGE}413"), "{name}, {expect}, {path}");
                }
            }
        }
    }
}

/// RFC 9112 §9.6: `RequestLayer` tells a client that wants to reuse its connection that hyper will close it.
#[tokio::test(flavor = "multi_thread")]
async fn a_pooled_python_client_gets_three_answers_to_unread_uploads() {
    let script = include_str!("keeps_its_connection.py");
    let answers = async |server: &Running| {
        let port = server.address.port().to_string();
        run(&python().await, &["-c", script, &port], "").await
    };
    let linger = LingerLayer::default();
    let layered = serve(LingerListener::new(listen().await, linger.clone()), app().layer(RequestLayer));
    for _ in 0..2 * TRIES {
        assert_eq!(answers(&layered).await, "404\n404\n404\n");
    }
    // Without `RequestLayer`, the drain discards the next request.
    let unsaid = serve(LingerListener::new(listen().await, linger), app());
    assert_ne!(answers(&unsaid).await, "404\n404\n404\n", "without `RequestLayer`");
}

/// RFC 9113 §8.1: curl loses the answer when it next writes to a stream that was reset.
#[tokio::test(flavor = "multi_thread")]
async fn curl_gets_the_early_413_over_http2() {
    let body = file(&"x".repeat(UPLOAD_BYTES));
    let linger = LingerLayer::default();
    let layered = serve(LingerListener::new(listen().await, linger.clone()), app().layer(RequestLayer));
    let unread = serve(LingerListener::new(listen().await, linger), app());
    let answer = async |server: &Running| {
        let (url, body) = (url(server, false, "/at-once"), body.path().display().to_string());
        let args =
            ["-sS", "--http2-prior-knowledge", "-m", "60", "-w", "%{http_code}", "-H", "Expect:", "-T"];
        run("curl", &[&args[..], &[&body, &url]].concat(), "").await
    };
    for _ in 0..2 * TRIES {
        assert_eq!(answer(&layered).await, format!("{MESSAGE}413"));
    }
    for _ in 0..MOST_TRIES {
        if !answer(&unread).await.ends_with("413") {
            return;
        }
    }
    panic!("without `RequestLayer` curl loses nothing, so this shows nothing");
}

/// CONFORMANCE 15, RFC 9112 §9.6: nginx forwards an upload while it arrives, and the server behind it
/// answers early. If the server then resets, nginx loses the answer and sends a 502.
#[tokio::test(flavor = "multi_thread")]
async fn a_413_from_behind_nginx_is_no_502() {
    let layered = serve(LingerListener::new(listen().await, LingerLayer::default()), app());
    let bare = serve(listen().await, app());
    let server = |name: &str, server: &Running| {
        format!(
            "server {{ listen unix:{{folder}}/{name}; client_max_body_size 0; location / {{ \
             proxy_pass http://{}; proxy_request_buffering off; proxy_http_version 1.1; }} }}\n",
            server.address
        )
    };
    let mut nginx = Nginx::start(&[server("layered", &layered), server("bare", &bare)].concat(), &[]);
    nginx.listens_on("bare").await;

    let body = file(&"x".repeat(UPLOAD_BYTES));
    let answer = async |socket: &str| {
        let (socket, body) = (nginx.file(socket).display().to_string(), body.path().display().to_string());
        let args = [
            &["-sS", "--http1.1", "-m", "60", "-w", "%{http_code}", "-H", "Expect:", "--unix-socket"][..],
            &[&socket, "-T", &body, "http://localhost/at-once"],
        ];
        run("curl", &args.concat(), "").await
    };
    for _ in 0..TRIES {
        assert_eq!(answer("layered").await, format!("{MESSAGE}413"));
    }
    // nginx sometimes reads the answer before it writes to the reset connection: 28 of 60 tries lost it.
    for _ in 0..MOST_TRIES {
        if answer("bare").await.ends_with("502") {
            return;
        }
    }
    panic!("without the layer nginx loses nothing, so this shows nothing");
}
