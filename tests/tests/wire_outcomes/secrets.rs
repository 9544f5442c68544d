//! Alerts of OpenSSL, decrypted with the key log that it writes, and what tshark says of them.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use linger_wire::secrets::Secrets;
use linger_wire::trace::{Connection, Settings};
use linger_wire::{Recording, Side};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tower_linger_tests::certs::Certs;
use tower_linger_tests::trace::read_with;

/// A client and a server, by what they are told; the last alert of the client and of the server.
type Session = (&'static str, &'static str, [Option<u8>; 2]);

const CLOSE_NOTIFY: [Option<u8>; 2] = [Some(0); 2];
const SESSIONS: [Session; 11] = [
    ("-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256", "", CLOSE_NOTIFY),
    ("-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384", "", CLOSE_NOTIFY),
    ("-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256", "", CLOSE_NOTIFY),
    ("-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256", "", CLOSE_NOTIFY),
    ("-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384", "", CLOSE_NOTIFY),
    ("-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305", "", CLOSE_NOTIFY),
    // A HelloRetryRequest.
    ("-tls1_3 -curves X25519:P-384", "-curves P-384", CLOSE_NOTIFY),
    // CBC is not decrypted.
    ("-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256", "", [None, None]),
    // certificate_required, and handshake_failure in the clear.
    ("-tls1_3", "-Verify 1 -verify_return_error", [None, Some(116)]),
    ("-tls1_2", "-Verify 1 -verify_return_error", [None, Some(40)]),
    // unknown_ca, in TLS 1.3 with the keys of the handshake or in the clear.
    ("-tls1_3 -verify_return_error", "", [Some(48), None]),
];

pub(crate) async fn alerts_of_openssl_are_named_as_tshark_names_them() {
    let folder = TempDir::new().expect("a folder");
    let certs = Certs::make();
    let (certificate, key) = certs.server_pem();
    std::fs::write(folder.path().join("server.pem"), format!("{certificate}{key}")).expect("a file");
    let recording = Recording::start(Vec::new()).expect("records");
    for (client, server, _) in SESSIONS {
        session(folder.path(), client, server).await;
    }
    let file = recording.finish().expect("a whole recording");
    std::fs::write(folder.path().join("trace.pcapng"), &file).expect("a file");
    let log = std::fs::read(folder.path().join("keys.log")).expect("OpenSSL's key log");
    let secrets = Some(Arc::new(Secrets::read(log.as_slice()).expect("a key log")));

    let connections = read_with(&file, Settings { secrets, ..Settings::default() });
    assert_eq!(connections.len(), SESSIONS.len());
    let theirs = tshark(folder.path()).await;
    for (connection, (client, _, expected)) in connections.iter().zip(SESSIONS) {
        assert_eq!(last_alerts(connection), expected, "{client}: {:?}", connection.tls);
        // It decrypts CBC, too.
        if client.contains("GCM") || client.contains("CHACHA") || expected != [None, None] {
            assert_eq!(last_told(&theirs, connection), expected, "tshark of {client}");
        }
    }
}

fn last_alerts(connection: &Connection) -> [Option<u8>; 2] {
    let tls = connection.tls.as_ref().expect("TLS");
    [tls.client.last_alert, tls.server.last_alert]
}

/// A server takes one connection; its client asks for a page.
async fn session(folder: &Path, client: &str, server: &str) {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        listener.local_addr().expect("bound").port()
    };
    let mut listening =
        openssl(folder, &format!("s_server -www -naccept 1 -cert server.pem -accept {port}"), server);
    let mut lines = BufReader::new(listening.stdout.take().expect("piped")).lines();
    while lines.next_line().await.expect("its output").expect("ACCEPT comes first") != "ACCEPT" {}

    let connect =
        format!("s_client -quiet -keylogfile keys.log -servername localhost -connect 127.0.0.1:{port}");
    let mut asking = openssl(folder, &connect, client);
    let mut input = asking.stdin.take().expect("piped");
    // A client that failed to shake hands may be gone.
    let _ = input.write_all(b"GET / HTTP/1.0\r\n\r\n").await;
    asking.wait().await.expect("a client that ends");
    listening.wait().await.expect("a server that ends");
}

fn openssl(folder: &Path, command: &str, more: &str) -> Child {
    Command::new("openssl")
        .args(command.split(' ').chain(more.split_whitespace()))
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("openssl")
}

/// The source port and the description of every alert.
async fn tshark(folder: &Path) -> Vec<(u16, u8)> {
    let arguments = "-r trace.pcapng -o tls.keylog_file:keys.log -Y tls.alert_message.desc -T fields \
        -e tcp.srcport -e tls.alert_message.desc";
    let output = Command::new("tshark").args(arguments.split_whitespace()).current_dir(folder).output().await;
    let output = output.expect("tshark");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("numbers");
    let line = |line: &str| {
        let (port, descriptions) = line.split_once('\t').expect("two fields");
        let last = descriptions.rsplit(',').next().expect("a description");
        (port.parse().expect("a port"), last.parse().expect("a number"))
    };
    text.lines().map(line).collect()
}

fn last_told(told: &[(u16, u8)], connection: &Connection) -> [Option<u8>; 2] {
    [Side::Client, Side::Server].map(|side| {
        let port = match side {
            Side::Client => connection.client.port(),
            Side::Server => connection.server.port(),
        };
        told.iter().rfind(|(from, _)| *from == port).map(|(_, description)| *description)
    })
}
