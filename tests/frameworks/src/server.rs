//! A server in a process of its own, because some frameworks own the whole process.

use std::error::Error;
use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{self, Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::certificate::Certificate;
use crate::frameworks;
use crate::place::Place;

/// The first argument of the process.
pub const SERVE: &str = "serve";
/// How long a server may take until it accepts connections.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server's process. It ends when this is dropped.
pub struct Server {
    pub address: SocketAddr,
    process: Child,
}

impl Server {
    /// Starts one, over TLS if there is a directory with a certificate, and waits until it accepts
    /// connections.
    pub fn start(name: &str, hooked: bool, certificate: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut process = Command::new(std::env::current_exe()?)
            .args([SERVE, name, if hooked { "hooked" } else { "bare" }, &address.to_string()])
            .arg(certificate.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = process.try_wait()? {
                return Err(format!("{name} ended before it served: {status}").into());
            }
            if Instant::now() > deadline {
                return Err(format!("{name} does not accept connections").into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { address, process })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its input ends, and so does it.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// What such a process does.
pub fn serve(name: &str, hook: &str, address: &str, certificate: &str) -> Result<(), Box<dyn Error>> {
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        process::exit(0);
    });
    let framework = frameworks::find(name)?;
    let serve = if hook == "hooked" { framework.hooked.ok_or("it has no hook")? } else { framework.bare };
    let certificate = (!certificate.is_empty()).then(|| Certificate::within(Path::new(certificate)));
    serve(Place { address: address.parse()?, certificate })
}
