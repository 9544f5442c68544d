//! Encrypted alerts in a recording, named by the secrets of the session.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use linger_wire::Recording;
use linger_wire::secrets::Secrets;
use linger_wire::trace::{Connection, Settings, Tls};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, KeyLog, RootCertStore, SupportedCipherSuite};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::trace::read_with;

use super::common::{accept, connect};

/// Each cipher suite of TLS 1.3, and of TLS 1.2 those for the keys that the tests have. In TLS 1.3 two bytes
/// of data look like an alert, and each side changes its keys.
pub(crate) async fn a_key_log_names_the_alerts_of_every_cipher() {
    let certs = Certs::make();
    let suites: Vec<_> = ring::ALL_CIPHER_SUITES
        .iter()
        .filter(|suite| suite.tls13().is_some() || format!("{suite:?}").contains("ECDSA"))
        .collect();
    assert_eq!(suites.len(), 6);
    let log = Arc::new(Log::default());
    let recording = Recording::start(Vec::new()).expect("records");
    for suite in &suites {
        exchange(&certs, **suite, &log).await;
    }
    let file = recording.finish().expect("a whole recording");

    let sessions = tls(read_with(&file, Settings::default()));
    for (suite, Tls { client, server, .. }) in suites.iter().zip(&sessions) {
        let seen = if suite.tls13().is_some() { 3 } else { 1 };
        assert_eq!((client.alerts, server.alerts), (seen, seen), "{suite:?}: two of them are data");
        assert!(client.ends_with_alert && server.ends_with_alert, "{suite:?}");
        assert_eq!((client.last_alert, server.last_alert), (None, None), "{suite:?}");
    }
    let sessions = tls(read_with(&file, with_secrets(&log)));
    assert_eq!(sessions.len(), suites.len());
    for (suite, Tls { version, server_name, client, server }) in suites.iter().zip(&sessions) {
        assert_eq!((client.alerts, server.alerts), (1, 1), "{suite:?}");
        assert!(client.ends_with_alert && server.ends_with_alert, "{suite:?}");
        assert_eq!((client.last_alert, server.last_alert), (Some(0), Some(0)), "{suite:?}");
        assert_eq!(*version, Some(suite.version().version.into()));
        assert_eq!(server_name.as_deref(), Some("localhost"));
    }
}

/// RFC 8446 §6.2: the server wants a certificate, and says so when the client believes that all is well.
pub(crate) async fn a_key_log_names_a_fatal_alert() {
    let certs = Certs::make();
    let log = Arc::new(Log::default());
    let recording = Recording::start(Vec::new()).expect("records");
    let mut config = certs.client(&[Version::Tls13]);
    config.key_log = log.clone();
    let (handshake, tcp) = accept(certs.server(&[Version::Tls13], ClientAuth::Required)).await;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let client = async {
        let mut client =
            connector.connect("localhost".try_into().expect("a name"), tcp).await.expect("loopback");
        client.read(&mut [0; 1]).await.expect_err("an alert")
    };
    let (server, error) = tokio::join!(handshake, client);
    assert!(server.is_err() && error.to_string().contains("CertificateRequired"), "{error}");
    let file = recording.finish().expect("a whole recording");

    let server = |settings| tls(read_with(&file, settings))[0].server;
    assert_eq!(server(Settings::default()).last_alert, None);
    assert_eq!(server(with_secrets(&log)).last_alert, Some(116));
    // Those of another session are of no use.
    assert_eq!(server(with_secrets(&Log(Mutex::new(OTHER.to_owned())))).last_alert, None);
}

/// Both sides send two bytes of data, in TLS 1.3 with one key and then with the next, and say `close_notify`.
async fn exchange(certs: &Certs, suite: SupportedCipherSuite, log: &Arc<Log>) {
    let provider = CryptoProvider { cipher_suites: vec![suite], ..ring::default_provider() };
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(certs.authority_pem().as_bytes()).expect("a certificate");
    roots.add(authority).expect("a certificate of our own making");
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[suite.version()])
        .expect("the suite's version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.key_log = log.clone();
    let (mut server, mut client) = connect(certs.server(&Version::ALL, ClientAuth::None), config).await;
    for changes_keys in [true, false] {
        pass(&mut client, &mut server).await;
        pass(&mut server, &mut client).await;
        if changes_keys && suite.tls13().is_some() {
            client.get_mut().1.refresh_traffic_keys().expect("TLS 1.3");
        }
    }
    server.shutdown().await.expect("loopback");
    assert_eq!(client.read(&mut [0; 1]).await.expect("close_notify"), 0);
    client.shutdown().await.expect("loopback");
    assert_eq!(server.read(&mut [0; 1]).await.expect("close_notify"), 0);
}

async fn pass(from: &mut (impl AsyncWrite + Unpin), to: &mut (impl AsyncRead + Unpin)) {
    from.write_all(b"ok").await.expect("loopback");
    from.flush().await.expect("loopback");
    to.read_exact(&mut [0; 2]).await.expect("loopback");
}

fn tls(connections: Vec<Connection>) -> Vec<Tls> {
    connections.into_iter().filter_map(|connection| connection.tls).collect()
}

fn with_secrets(log: &Log) -> Settings {
    let log = log.0.lock().expect("no panic").clone();
    let secrets = Secrets::read(log.as_bytes()).expect("a key log");
    Settings { secrets: Some(Arc::new(secrets)), ..Settings::default() }
}

/// A key log in memory.
#[derive(Debug, Default)]
struct Log(Mutex<String>);

impl KeyLog for Log {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut log = self.0.lock().expect("no panic");
        log.push_str(label);
        for bytes in [client_random, secret] {
            log.push(' ');
            for byte in bytes {
                write!(log, "{byte:02x}").expect("memory");
            }
        }
        log.push('\n');
    }
}

/// A line of a session that never was.
const OTHER: &str = "SERVER_TRAFFIC_SECRET_0 \
     0000000000000000000000000000000000000000000000000000000000000000 \
     0000000000000000000000000000000000000000000000000000000000000000\n";
