//! How the command finds and reaches servers: users in URLs, names, Unix sockets, the PROXY protocol, guessed
//! schemes, certificates.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_rustls::TlsAcceptor;
use tower_linger::LingerLayer;
use tower_linger::axum::{LingerListener, TlsLingerListener};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::server::{Running, listen, serve};

mod probe;

use probe::{assert_refused, probe, raw, saying, text};

/// Options for one quick row.
const ROW: [&str; 4] = ["--only", "close.requested", "-n", "2"];

async fn passes(args: &[&str]) -> String {
    let output = probe(&[&["check"][..], &ROW, args].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
    assert!(text(&output.stdout).contains("1 pass, 0 fail"), "{args:?}: {output:?}");
    text(&output.stderr).to_owned()
}

/// The values of one header field in all requests.
type Seen = Arc<Mutex<Vec<String>>>;

fn noting(field: &'static str) -> (Router, Seen) {
    let seen = Seen::default();
    let noted = seen.clone();
    let answer = get(async move |fields: HeaderMap| {
        let value = fields.get(field).map(|value| value.to_str().expect("ASCII").to_owned());
        noted.lock().expect("nothing panics").push(value.unwrap_or_default());
        StatusCode::OK
    });
    (Router::new().route("/", answer), seen)
}

fn layered(listener: TcpListener, app: Router) -> Running {
    serve(LingerListener::new(listener, LingerLayer::default()), app)
}

fn acceptor(certs: &Certs, client_auth: ClientAuth) -> TlsAcceptor {
    TlsAcceptor::from(Arc::new(certs.server(&Version::ALL, client_auth)))
}

async fn over_tls(acceptor: TlsAcceptor) -> Running {
    let tls = LingerLayer::default().tls(acceptor);
    serve(TlsLingerListener::new(listen().await, tls), noting("host").0)
}

fn all_are(seen: &Seen, value: &str) {
    let seen = seen.lock().expect("nothing panics");
    assert!(seen.len() > 2 && seen.iter().all(|seen| seen == value), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_in_a_url_is_sent_and_never_printed() {
    let (app, seen) = noting("authorization");
    let server = layered(listen().await, app);
    let (authority, dead) = (server.address.to_string(), listen().await.local_addr().expect("bound"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = folder.path().join("page.html");
    let page = page.to_str().expect("UTF-8");
    let url = format!("http://Aladdin:open%20sesame@{authority}/");
    let schemeless = format!("Aladdin:open%20sesame@{authority}");
    let unreachable = format!("http://Aladdin:open%20sesame@{dead}/");
    let load = ["load", &url, "--duration", "0.2", "--connections", "1", "--mix", "get=1", "--keep-alive"];
    for (args, status) in [
        (&["check", &url][..], 0),
        (&["check", &schemeless], 0),
        (&["check", &url, "--format", "json"], 0),
        (&["check", &url, "--format", "junit", "--report", page], 0),
        (&load, 0),
        (&["restart", &url, "--command", "true", "--timeout", "1"], 0),
        (&["check", &unreachable], 2),
        (&["check", "http://Aladdin:open%20sesame@ho st/"], 2),
        (&["check", "http://Aladdin:open/sesame@host/"], 2),
        (&["check", "Aladdin:open=sesame@host"], 2),
        (&["check", "http://Aladdin:sesame@192.0.2.99/"], 2),
    ] {
        let row = if args[0] == "check" { &ROW[..] } else { &[] };
        let output = probe(&[args, row].concat()).await;
        let mut printed = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(status), "{args:?}: {printed}");
        printed += &std::fs::read_to_string(page).unwrap_or_default();
        for secret in ["sesame", "Aladdin", "QWxhZGRpbj"] {
            assert!(!printed.contains(secret), "{args:?}: {printed}");
        }
    }
    all_are(&seen, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");

    seen.lock().expect("nothing panics").clear();
    passes(&[&url, "-H", "Authorization: Bearer own"]).await;
    all_are(&seen, "Bearer own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_resolved_as_it_is_told() {
    let (app, seen) = noting("host");
    let server = layered(listen().await, app);
    let port = server.address.port();
    let url = format!("http://probed.example:{port}/");
    let resolve = format!("probed.example:{port}:127.0.0.1");
    passes(&[&url, "--resolve", "other.example:1:192.0.2.99", "--resolve", &resolve]).await;
    all_are(&seen, &format!("probed.example:{port}"));
    let abroad = format!("probed.example:{port}:192.0.2.99");
    assert_refused(&["check", &url, "--resolve", &abroad], "--i-may-test-this-host").await;
    assert_refused(&["check", &url, "--resolve", "probed.example"], "HOST:PORT:ADDRESS").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_name_is_asked_for_and_verified() {
    let certs = Certs::make();
    let server = over_tls(acceptor(&certs, ClientAuth::None)).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ca = folder.path().join("ca");
    std::fs::write(&ca, certs.authority_pem()).expect("a temporary folder takes it");
    let port = server.address.port();
    let (url, resolve) =
        (format!("https://probed.example:{port}/"), format!("probed.example:{port}:127.0.0.1"));
    let args = [&url, "--resolve", &resolve, "--ca", ca.to_str().expect("UTF-8")];
    passes(&[&args[..], &["--sni", "localhost"]].concat()).await;
    let line = "because it is for localhost, 127.0.0.1, not for probed.example: --sni NAME";
    assert_refused(&[&["check"][..], &args].concat(), line).await;
    assert_refused(&["check", "http://127.0.0.1:1/", "--sni", "localhost"], "--sni is for TLS").await;
    assert_refused(&["check", &url, "--sni", "not a name"], "not a host's name").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_is_probed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).expect("a temporary folder takes it");
    let (app, seen) = noting("host");
    tokio::spawn(async move { axum::serve(listener, app).await });
    let path = path.to_str().expect("UTF-8");
    // This name is not resolved.
    passes(&["http://probed.example/", "--unix-socket", path]).await;
    all_are(&seen, "probed.example");
    let restart = ["restart", "http://probed.example/", "--unix-socket", path, "--command", "true"];
    let output = probe(&[&restart[..], &["--timeout", "1"]].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let missing = format!("{path}-missing");
    let line = format!("{missing} cannot be reached");
    assert_refused(&["check", "http://probed.example/", "--unix-socket", &missing], &line).await;
}

/// Answers one request, and waits for the client to close.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut request = vec![0; 4096];
    _ = stream.read(&mut request).await;
    _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n").await;
    _ = stream.shutdown().await;
    while matches!(stream.read(&mut request).await, Ok(1..)) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_protocol_begins_each_connection() {
    /// Whether the connection began with a PROXY header of its own addresses.
    async fn is_announced(stream: &mut TcpStream, version: &str) -> bool {
        let (from, to) = (stream.peer_addr().expect("connected"), stream.local_addr().expect("bound"));
        let expected = match version {
            "v1" => format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n", from.port(), to.port()).into_bytes(),
            _ => [
                &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01"[..],
                &from.port().to_be_bytes(),
                &to.port().to_be_bytes(),
            ]
            .concat(),
        };
        let mut header = vec![0; expected.len()];
        stream.read_exact(&mut header).await.is_ok() && header == expected
    }
    let certs = Certs::make();
    for version in ["v1", "v2"] {
        let plain = raw(move |mut stream: TcpStream| async move {
            tokio::spawn(async move {
                if is_announced(&mut stream, version).await {
                    answer(stream).await;
                }
            });
        })
        .await;
        passes(&[&plain, "--proxy-protocol", version]).await;
        assert_refused(&["check", &plain, "--timeout", "1"], "without a response").await;

        let acceptor = acceptor(&certs, ClientAuth::None);
        let tls = raw(move |mut stream: TcpStream| {
            let acceptor = acceptor.clone();
            async move {
                tokio::spawn(async move {
                    if is_announced(&mut stream, version).await
                        && let Ok(stream) = acceptor.accept(stream).await
                    {
                        answer(stream).await;
                    }
                });
            }
        });
        let tls = tls.await.replace("http:", "https:");
        passes(&[&tls, "--insecure", "--proxy-protocol", version]).await;
        // The connection that guesses the scheme begins with the header, too.
        let schemeless = tls.trim_start_matches("https://");
        let said = passes(&[schemeless, "--insecure", "--proxy-protocol", version]).await;
        assert!(said.contains("it speaks TLS, so https:// is used"), "{said}");
    }
    assert_refused(&["check", "http://127.0.0.1/", "--proxy-protocol", "v3"], "v1, v2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_is_guessed_and_reported() {
    let certs = Certs::make();
    let (plain, tls) =
        (layered(listen().await, noting("host").0), over_tls(acceptor(&certs, ClientAuth::Required)).await);
    let tls_plain = over_tls(acceptor(&certs, ClientAuth::None)).await;
    let at = |server: &Running| server.address.to_string();
    let said =
        passes(&[&format!("{}/", at(&plain)), &format!("named={}", at(&tls_plain)), "--insecure"]).await;
    assert!(
        said.contains(&format!("{}/ has no scheme: it does not speak TLS, so http:// is used", at(&plain))),
        "{said}"
    );
    let hint = format!("{} has no scheme: it speaks TLS, so https:// is used", at(&tls_plain));
    assert!(said.contains(&hint) && said.contains("named: "), "{said}");
    assert_refused(&["check", &at(&tls), "--insecure"], "it speaks TLS, so https:// is used").await;

    let free = listen().await.local_addr().expect("bound").to_string();
    assert_refused(&["check", &free], "cannot be reached").await;
    assert_refused(&["check", "192.0.2.99:80"], "--i-may-test-this-host").await;
    let ssh = saying("SSH-2.0-OpenSSH_9.2\r\n").await;
    let ssh = ssh.trim_start_matches("http://");
    assert_refused(&["check", ssh], "it does not speak TLS, so http:// is used").await;
}

/// Probing the address of one of this machine's interfaces needs no permission.
#[tokio::test(flavor = "multi_thread")]
async fn the_machines_own_addresses_are_here() {
    let mut own = nix::ifaddrs::getifaddrs()
        .expect("the system tells")
        .filter_map(|interface| interface.address?.as_sockaddr_in().map(|address| IpAddr::V4(address.ip())));
    let own = own.find(|ip| !ip.is_loopback()).expect("this machine has a network");
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.expect("a port is free");
    let server = layered(listener, noting("host").0);
    passes(&[&format!("http://{own}:{}/", server.address.port())]).await;
}

/// The error says what is wrong with a certificate, and what the user can do.
#[tokio::test(flavor = "multi_thread")]
async fn certificate_errors_and_alerts_are_explained() {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
    type Change = fn(&mut CertificateParams);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let make = |change: Change| {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
        change(&mut params);
        (params.self_signed(&key).expect("a certificate"), key)
    };
    let wrong: [(Change, &str); 4] = [
        (|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained), "it is an authority's (CA:TRUE)"),
        (|params| params.not_after = date_time_ymd(2001, 1, 1), "it expired "),
        (|params| params.not_before = date_time_ymd(4000, 1, 1), "it becomes valid in "),
        (
            |params| {
                params.subject_alt_names =
                    vec![rcgen::SanType::DnsName("a.example".try_into().expect("a name"))];
            },
            "it is for a.example, not for 127.0.0.1: --sni NAME",
        ),
    ];
    for (change, why) in wrong {
        let (certificate, key) = make(change);
        let ca = folder.path().join("ca");
        std::fs::write(&ca, certificate.pem()).expect("a temporary folder takes it");
        let provider = tokio_rustls::rustls::crypto::ring::default_provider();
        let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .expect("its versions are ring's")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                key.serialize_der().try_into().expect("a key"),
            );
        let server = over_tls(TlsAcceptor::from(Arc::new(config.expect("it fits")))).await;
        let url = format!("https://{}/", server.address);
        assert_refused(&["check", &url, "--ca", ca.to_str().expect("UTF-8")], why).await;
    }
    let certs = Certs::make();
    let server = over_tls(acceptor(&certs, ClientAuth::None)).await;
    let url = format!("https://{}/", server.address);
    assert_refused(&["check", &url], "because no trusted authority has issued it: --ca FILE").await;
    let server = over_tls(acceptor(&certs, ClientAuth::Required)).await;
    let url = format!("https://{}/", server.address);
    assert_refused(&["check", &url, "--insecure"], "(certificate_required): give it a --cert").await;
    // RFC 8446 §6: alert, fatal, handshake_failure.
    let server = saying([21, 3, 3, 0, 2, 2, 40]).await.replace("http:", "https:");
    assert_refused(&["check", &server], "refuses the handshake: handshake_failure").await;
}
