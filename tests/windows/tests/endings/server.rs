//! The server's process, and clients of it.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Ends a test that hangs. Nothing here takes a tenth of this.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The server's process: it ends when its standard input does.
pub(crate) struct Server {
    pub(crate) address: String,
    /// Its number as its own system counts.
    pub(crate) process: String,
    pub(crate) system: String,
    /// Whether its transports are those for Linux, and not those for all systems.
    pub(crate) is_for_linux: bool,
    certificate: CertificateDer<'static>,
    output: BufReader<ChildStdout>,
    input: Option<ChildStdin>,
    child: Child,
}

impl Server {
    pub(crate) fn start(scene: &str) -> Self {
        let named = env::var("ENDINGS_SERVER").unwrap_or_default();
        let mut words = named.split_whitespace();
        let mut command = Command::new(words.next().unwrap_or(env!("CARGO_BIN_EXE_endings-server")));
        command.args(words).arg(scene).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut introduction = String::new();
        output.read_line(&mut introduction).expect("the server's output can be read");
        let words: Vec<&str> = introduction.split_whitespace().collect();
        let [address, process, system, transports, digits] = words[..] else {
            panic!("{command:?} introduces itself by {introduction:?}")
        };
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal");
        let certificate = (0..digits.len()).step_by(2).map(byte).collect::<Vec<_>>().into();
        Self {
            address: address.to_owned(),
            process: process.to_owned(),
            system: system.to_owned(),
            is_for_linux: transports == "linux",
            certificate,
            output,
            input: child.stdin.take(),
            child,
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(&self.address).expect("the server listens");
        client.set_read_timeout(Some(PATIENCE)).expect("a socket takes it");
        client.set_write_timeout(Some(PATIENCE)).expect("a socket takes it");
        client
    }

    pub(crate) fn connect_tls(&self) -> StreamOwned<ClientConnection, TcpStream> {
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

    /// The next line that it prints: a close's report, for example.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the server's output can be read");
        line.trim().to_owned()
    }

    /// Asks it to end by a line on its standard input.
    pub(crate) fn ask(&mut self) {
        writeln!(self.input.as_mut().expect("not dropped"), "end").expect("the server reads it");
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(mut self) -> ExitStatus {
        // `Child::wait` would close the standard input.
        let rest = io::copy(&mut self.output, &mut io::sink());
        assert_eq!(rest.expect("the server's output can be read"), 0, "it printed more than was expected");
        self.child.wait().expect("it can be waited for")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// What the server sends until its end of data; an error where it does not end cleanly.
pub(crate) fn read_all(client: &mut impl Read) -> io::Result<String> {
    let mut answer = Vec::new();
    client.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
