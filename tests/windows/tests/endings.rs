//! How connections end, as a client sees it. The server is built for this system, unless `ENDINGS_SERVER`
//! names another command (words separated by spaces): `make windows` runs the Windows build under Wine.

use std::env;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{
    AlertDescription, ClientConfig, ClientConnection, Error, RootCertStore, StreamOwned,
};

/// The server's process: it ends when its standard input does.
struct Server {
    address: String,
    certificate: CertificateDer<'static>,
    output: BufReader<ChildStdout>,
    input: Option<ChildStdin>,
    child: Child,
}

impl Server {
    fn start(scene: &str) -> Self {
        let named = env::var("ENDINGS_SERVER").unwrap_or_default();
        let mut words = named.split_whitespace();
        let mut command = Command::new(words.next().unwrap_or(env!("CARGO_BIN_EXE_endings-server")));
        command.args(words).arg(scene).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut address = String::new();
        output.read_line(&mut address).expect("the server's output can be read");
        assert!(address.ends_with('\n'), "{command:?} ended before it listened");
        let mut digits = String::new();
        output.read_line(&mut digits).expect("the server's output can be read");
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal");
        let certificate = (0..digits.trim().len()).step_by(2).map(byte).collect::<Vec<_>>().into();
        let input = child.stdin.take();
        Self { address: address.trim().to_owned(), certificate, output, input, child }
    }

    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(&self.address).expect("the server listens");
        // Ends a test that hangs. Nothing here takes a tenth of this.
        client.set_read_timeout(Some(PATIENCE)).expect("a socket takes it");
        client.set_write_timeout(Some(PATIENCE)).expect("a socket takes it");
        client
    }

    fn connect_tls(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let session = ClientConnection::new(Arc::new(config), name).expect("a session");
        StreamOwned::new(session, self.connect())
    }

    /// The next close's report.
    fn report(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the server prints each report");
        line.trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const UPLOAD: u64 = 32 << 20;
const TRIES: usize = 20;

#[test]
fn a_refusal_reaches_every_client_that_writes_its_whole_upload_first() {
    let is_delivered = |server: &Server| is_refusal(&upload(&mut server.connect(), UPLOAD));
    assert_all_succeed("layered", "bare", is_delivered);
}

#[test]
fn over_tls_a_refusal_reaches_every_client_and_its_end_is_authentic() {
    // Without a close_notify, reading to the end fails.
    let is_delivered = |server: &Server| is_refusal(&upload(&mut server.connect_tls(), UPLOAD / 4));
    assert_all_succeed("tls", "tls_bare", is_delivered);
}

#[test]
fn the_alert_of_a_failed_handshake_reaches_every_client_that_goes_on_sending() {
    let is_alerted = |server: &Server| {
        upload(&mut server.connect_tls(), UPLOAD / 4).is_err_and(|error| {
            let tls = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
            tls == Some(&Error::AlertReceived(AlertDescription::CertificateRequired))
        })
    };
    assert_all_succeed("mutual_tls", "mutual_tls_bare", is_alerted);
}

/// With the layer each of these exchanges succeeds; without it some fail, so the layer makes the difference.
#[track_caller]
fn assert_all_succeed(layered: &str, bare: &str, succeeds: impl Fn(&Server) -> bool) {
    let successes = |scene| {
        let server = Server::start(scene);
        (0..TRIES).filter(|_| succeeds(&server)).count()
    };
    assert!(successes(bare) < TRIES, "all succeed without the layer, so this shows nothing");
    assert_eq!(successes(layered), TRIES);
}

/// Uploads everything, then reads to the end. Gives up when a write fails, as most clients do.
fn upload(client: &mut (impl Read + Write), bytes: u64) -> io::Result<Vec<u8>> {
    write!(client, "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {bytes}\r\n\r\n")?;
    io::copy(&mut io::repeat(b'x').take(bytes), client)?;
    let mut answer = Vec::new();
    client.read_to_end(&mut answer)?;
    Ok(answer)
}

fn is_refusal(answer: &io::Result<Vec<u8>>) -> bool {
    let whole = |answer: &Vec<u8>| answer.starts_with(b"HTTP/1.1 413") && answer.ends_with(b"that is all");
    answer.as_ref().is_ok_and(whole)
}

#[test]
fn an_abort_is_a_reset_and_not_an_end_of_file() {
    let mut server = Server::start("abort");
    let mut client = server.connect();
    client.write_all(GET).expect("loopback");
    let end = client.read(&mut [0; 64]).map_err(|error| error.kind());
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
    assert!(server.report().starts_with('A'));
}

#[test]
fn after_the_servers_fin_the_client_still_sends_what_it_has_and_is_not_reset() {
    let mut server = Server::start("layered");
    let mut client = server.connect();
    client.write_all(GET).expect("loopback");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("a FIN, and no reset");
    assert!(answer.ends_with(b"that is all"), "{}", answer.escape_ascii());
    for _ in 0..10 {
        client.write_all(&[0; 100]).expect("the server goes on reading");
    }
    client.shutdown(Shutdown::Write).expect("no reset came");
    let report = server.report();
    assert!(report.starts_with("Pd-- drained=1000 "), "{report}");
}

#[test]
fn a_response_that_its_connection_delimits_does_not_look_whole_when_it_was_cut() {
    let exchange = |server: &Server| {
        let mut client = server.connect();
        client.write_all(GET).expect("loopback");
        let mut answer = Vec::new();
        let end = client.read_to_end(&mut answer).map_err(|error| error.kind());
        assert!(answer.ends_with(b"half of it"), "{}", answer.escape_ascii());
        end.map(|_| ())
    };
    assert_eq!(exchange(&Server::start("cut_bare")), Ok(()), "without the layer it looks whole");
    let mut server = Server::start("cut");
    assert_eq!(exchange(&server), Err(ErrorKind::ConnectionReset));
    assert!(server.report().starts_with('A'));
}

#[test]
fn the_drain_ends_at_its_limit_of_bytes_and_not_one_byte_later() {
    let mut server = Server::start("few_bytes");
    assert!(upload(&mut server.connect(), UPLOAD).is_err(), "the server stopped reading");
    let report = server.report();
    assert!(report.starts_with("Bd-- drained=1048576 "), "{report}");
}

#[test]
fn the_drain_ends_when_the_client_is_silent() {
    let mut server = Server::start("short_silence");
    let mut client = server.connect();
    client.write_all(GET).expect("loopback");
    client.read_to_end(&mut Vec::new()).expect("a FIN, and no reset");
    // The client stays open and silent.
    let report = server.report();
    assert!(report.starts_with("Id-- drained=0 "), "{report}");
}
