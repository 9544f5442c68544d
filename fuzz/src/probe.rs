//! Servers that answer the probe with what they like.
//!
//! The probe connects through a Unix socket, as it does with `--unix-socket`, to a server in the same thread.
//! The clock is paused, so that its patience costs no time.

use std::cell::OnceCell;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use linger_probe::battery;
use linger_probe::check::{Abilities, check};
use linger_probe::discover::discover;
use linger_probe::model::{Gap, Report};
use linger_probe::remedy::advise;
use linger_probe::route::Via;
use linger_probe::target::{Options, Target, Tls};
use linger_probe::trust::Trust;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::rendered;
use crate::tail::{Library as _, Version};

/// A run of the probe against one server.
#[derive(Debug, Arbitrary)]
pub struct Case {
    /// Which scenario is tried, after the probe's first look.
    scenario: u8,
    /// Whether the probe may believe what its first look says.
    looks: bool,
    speaks: Speaks,
    /// What the server does on each connection. After the last, it begins anew.
    connections: Vec<Vec<Deed>>,
}

/// What the probe expects, and what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Speaks {
    Plain,
    /// The server's bytes stand in the place of TLS.
    NoTls,
    /// They are in a session.
    Tls(Version),
}

/// Something that the server does.
#[derive(Debug, Clone, Arbitrary)]
enum Deed {
    Write(Vec<u8>),
    /// A piece of an answer.
    Word(u8),
    /// The head of a frame of HTTP/2, and what is in it.
    Frame {
        kind: u8,
        flags: u8,
        stream: u8,
        payload: Vec<u8>,
    },
    Flood(u16),
    Read(u16),
    Wait(u8),
    Shutdown,
    /// Does nothing more, and stays.
    Hold,
}

struct World {
    runtime: Runtime,
    path: PathBuf,
    listener: UnixListener,
    tls: Tls,
}

thread_local! {
    static WORLD: OnceCell<Rc<World>> = const { OnceCell::new() };
}

/// Has the probe look at the server and try a scenario, and renders what it says.
pub fn run(case: &Case) {
    let world = WORLD.with(|world| world.get_or_init(|| Rc::new(World::new())).clone());
    world.runtime.block_on(world.visit(case));
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let path = std::env::temp_dir().join(format!("tower-linger-fuzz-{}", std::process::id()));
        let listener = runtime.block_on(async { UnixListener::bind(&path) }).expect("a socket");
        let trust = Trust { insecure: true, ..Trust::default() };
        let config = Arc::new(trust.client().expect("it reads no file"));
        let tls = Tls { name: "localhost".try_into().expect("a name"), config };
        Self { runtime, path, listener, tls }
    }

    async fn visit(&self, case: &Case) {
        tokio::select! {
            biased;
            () = self.probe(case) => {}
            () = self.serve(case) => unreachable!("it serves for ever"),
        }
        // Connections that nobody has accepted are not for the next input.
        while let Ok(Ok(_)) = timeout(Duration::ZERO, self.listener.accept()).await {}
    }

    async fn probe(&self, case: &Case) {
        let is_tls = case.speaks != Speaks::Plain;
        let mut target = Target::at(([127, 0, 0, 1], 80).into(), is_tls.then(|| self.tls.clone()));
        target.via = Via::Unix(self.path.clone());
        let options = Options {
            upload_bytes: 200_000,
            repetitions: 1,
            timeout: Duration::from_millis(500),
            deadline: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(1),
            release_timeout: Duration::from_secs(1),
            large_path: Some("/large".to_owned()),
            websocket_path: Some("/websocket".to_owned()),
            ..Options::default()
        };
        let mut report = Report::default();
        let found = if case.looks { Some(discover(&mut target, &options).await) } else { None };
        let everything =
            Abilities { http2: true, alpn: true, client_certificate: true, ..Abilities::default() };
        let abilities = match found {
            Some(Ok(abilities)) => abilities,
            Some(Err(error)) => {
                let why = error.to_string();
                rendered::no_hidden(&why);
                report.gaps.push(Gap { name: target.name.clone(), why });
                everything
            }
            None => everything,
        };
        let scenario = &battery::ALL[usize::from(case.scenario) % battery::ALL.len()];
        let mut judged = check(&target, &options, &abilities, [scenario], |_| {}).await;
        assert!(judged.lost.is_none(), "it takes every connection in time: {:?}", judged.lost);
        assert_eq!(judged.rows.len(), 1);
        advise(&mut judged, None);
        report.targets.push(judged);
        rendered::report(&report, case.scenario >= 224);
    }

    async fn serve(&self, case: &Case) {
        let mut scripts = case.connections.iter().cycle();
        let mut serving = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = self.listener.accept().await.expect("a Unix socket accepts");
            let stream = without_signals(stream).expect("the same socket");
            let script = scripts.next().cloned().unwrap_or_default();
            let speaks = case.speaks;
            serving.spawn(async move {
                match speaks {
                    Speaks::Plain | Speaks::NoTls => play(stream, script).await,
                    Speaks::Tls(version) => match TlsAcceptor::acceptor(version).accept(stream).await {
                        Ok(stream) => play(stream, script).await,
                        Err(error) => Err(error),
                    },
                }
            });
        }
    }
}

/// The same socket by another name. Writes to a Unix socket whose peer is gone end the process, because
/// libFuzzer does not ignore `SIGPIPE` as Rust's own `main` does; plain writes to a TCP socket do not.
fn without_signals(stream: UnixStream) -> std::io::Result<TcpStream> {
    TcpStream::from_std(OwnedFd::from(stream.into_std()?).into())
}

async fn play(mut stream: impl AsyncRead + AsyncWrite + Unpin, script: Vec<Deed>) -> std::io::Result<()> {
    for deed in script {
        match deed {
            Deed::Write(bytes) => stream.write_all(&bytes).await?,
            Deed::Word(index) => stream.write_all(WORDS[usize::from(index) % WORDS.len()]).await?,
            Deed::Frame { kind, flags, stream: id, payload } => {
                let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
                let frame = [&length[1..], &[kind % 11, flags, 0, 0, 0, id % 3], &payload].concat();
                stream.write_all(&frame).await?;
            }
            Deed::Flood(bytes) => stream.write_all(&vec![b'x'; bytes.into()]).await?,
            Deed::Read(bytes) => {
                let mut buffer = vec![0; usize::from(bytes) + 1];
                let _silent = timeout(Duration::from_millis(100), stream.read(&mut buffer)).await;
            }
            Deed::Wait(millis) => sleep(Duration::from_millis(u64::from(millis) * 4)).await,
            Deed::Shutdown => stream.shutdown().await?,
            Deed::Hold => std::future::pending::<()>().await,
        }
        stream.flush().await?;
    }
    Ok(())
}

/// What answers are made of.
const WORDS: [&[u8]; 24] = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 413 Content Too Large\r\n",
    b"HTTP/1.0 200 \r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n",
    b"HTTP/1.1 400 Bad Request\r\n",
    b"HTTP/1.1 304 Not Modified\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 18446744073709551615\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Server: nginx\x1b[31m\xe2\x80\xae\r\n",
    b"\r\n",
    b"hello",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    // The server's preface of HTTP/2, a response of status 200, and GOAWAY.
    b"\0\0\0\x04\0\0\0\0\0",
    b"\0\0\x01\x01\x04\0\0\0\x01\x88",
    b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\0",
    // TLS alerts: handshake_failure, and close_notify.
    b"\x15\x03\x03\0\x02\x02\x28",
    b"\x15\x03\x03\0\x02\x01\0",
    // A WebSocket's Close.
    b"\x88\x02\x03\xe8",
];
