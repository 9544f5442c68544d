//! One of a load's clients. It opens a connection for each request, or keeps one for many requests.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_rustls::rustls::{ClientConnection, HandshakeKind};

use super::Plan;
use super::mix::Kind;
use super::tally::{Came, Exchange};
use crate::battery::{GET, GET_LAST, UPLOAD};
use crate::connection::{Connection, Moved};
use crate::model::{Side, What};
use crate::run::{ZEROS, fill};
use crate::target::{Options, Target};

/// The requests and settings that the clients of a load have in common.
#[derive(Debug)]
pub(super) struct Requests {
    target: Target,
    timeout: Duration,
    keep_alive: bool,
    upload_bytes: u64,
    get: Vec<u8>,
    early: Vec<u8>,
    large: Vec<u8>,
}

impl Requests {
    pub(super) fn new(target: &Target, options: &Options, plan: &Plan) -> Self {
        let text = |text: &str| fill(text, target, options).into_bytes();
        let (get, upload) = if plan.keep_alive { (GET, UPLOAD) } else { (GET_LAST, UPLOAD_LAST) };
        Self {
            target: target.clone(),
            timeout: options.timeout,
            keep_alive: plan.keep_alive,
            upload_bytes: options.upload_bytes,
            get: text(get),
            early: text(upload),
            large: text(&get.replace("{path}", "{large}")),
        }
    }
}

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    requests: Arc<Requests>,
    /// The client stops waiting at this time, whatever it waits for.
    cut: Instant,
    /// The connection that is kept for the next request, if there is one.
    connection: Option<Connection>,
    pub(super) openings: Openings,
}

/// How the opening of a client's connections went.
#[derive(Debug, Default)]
pub(super) struct Openings {
    pub(super) opened: u64,
    pub(super) resumed: u64,
    pub(super) failed: u64,
    /// Why the first of them failed.
    pub(super) why: Option<String>,
}

impl Openings {
    pub(super) fn merge(&mut self, other: Self) {
        self.opened += other.opened;
        self.resumed += other.resumed;
        self.failed += other.failed;
        self.why = self.why.take().or(other.why);
    }

    pub(super) fn fail(&mut self, why: &impl ToString) {
        self.failed += 1;
        self.why.get_or_insert_with(|| why.to_string());
    }
}

/// The result of one try of a request.
struct Try {
    came: Came,
    /// When the response was whole, or was known to be lost.
    at: Instant,
    end: Option<Duration>,
    ended: Option<bool>,
    announced: bool,
}

impl Client {
    pub(super) fn new(requests: Arc<Requests>, cut: Instant) -> Self {
        Self { requests, cut, connection: None, openings: Openings::default() }
    }

    /// Sends one request, which was due at `due`.
    pub(super) async fn exchange(&mut self, kind: Kind, due: Instant) -> Exchange {
        let begun = Instant::now();
        let mut retried = false;
        let tried = loop {
            match self.try_once(kind).await {
                Some(tried) => break tried,
                // The server ended the kept connection before it saw the request, so the request is sent
                // again (RFC 9112 §9.3.1). The next connection is new, so this happens at most once.
                None => retried = true,
            }
        };
        Exchange {
            came: tried.came,
            retried,
            latency: tried.at.saturating_duration_since(begun),
            latency_from_due: tried.at.saturating_duration_since(due),
            end: tried.end,
            ended: tried.ended,
            announced: tried.announced,
        }
    }

    /// `None` if the kept connection turns out to have ended already.
    async fn try_once(&mut self, kind: Kind) -> Option<Try> {
        let requests = Arc::clone(&self.requests);
        let reused = self.connection.is_some();
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match self.open().await {
                Ok(connection) => connection,
                Err(came) => {
                    return Some(Try { came, at: Instant::now(), end: None, ended: None, announced: false });
                }
            },
        };
        connection.forget();
        let deadline = self.deadline();
        let head = match kind {
            Kind::Get => &requests.get,
            Kind::Early413 => &requests.early,
            Kind::Large => &requests.large,
        };
        connection.send(head, false, deadline).await;
        if kind == Kind::Early413 {
            upload(&mut connection, requests.upload_bytes, deadline).await;
        }
        // This client gives up at a failed write, even if a response could still be read.
        let mut came = None;
        while came.is_none() && !connection.write_failed {
            came = look(&connection);
            if came.is_none() && connection.receive(deadline).await != Moved::Some {
                came = look(&connection).or(Some(self.late(Came::TimedOut)));
            }
        }
        let (mut came, at) = (came.unwrap_or(Came::Cut), Instant::now());
        let whole = matches!(came, Came::Whole(_));
        let over = connection.ended.is_some() || connection.write_failed;
        if !whole && kind != Kind::Early413 && over && reused && connection.received.bytes == 0 {
            return None;
        }
        let mut end = None;
        if whole && !requests.keep_alive {
            // After `close_notify` the server sends no more data. Clients close then, and some servers wait
            // for that.
            let deadline = self.deadline();
            while !connection.close_notify && connection.receive(deadline).await == Moved::Some {}
            let told = connection.close_notify || connection.ended.is_some();
            end = told.then(|| at.elapsed());
            if connection.close_notify {
                // OpenSSL and rustls answer with their own, which tells the server that this side is done.
                connection.say_close_notify(deadline).await;
            }
        }
        let reset = connection.trace.has(Side::Server, &What::Reset);
        if came == Came::Cut && reset {
            came = Came::Reset;
        }
        let over = connection.ended.is_some() || connection.close_notify || connection.write_failed;
        let announced = connection.close_notify;
        let keeps = requests.keep_alive && !over && whole && kind != Kind::Early413;
        if keeps && connection.received.http1.head().is_some_and(|head| !head.closes) {
            self.connection = Some(connection);
        }
        Some(Try { came, at, end, ended: over.then_some(reset), announced })
    }

    /// The deadline of an operation that begins now.
    fn deadline(&self) -> Instant {
        (Instant::now() + self.requests.timeout).min(self.cut)
    }

    /// The result of a wait that took too long. At the end of the run it is not the server's fault, so the
    /// request is unfinished instead.
    fn late(&self, came: Came) -> Came {
        if Instant::now() < self.cut { came } else { Came::Unfinished }
    }

    async fn open(&mut self) -> Result<Connection, Came> {
        let Requests { target, .. } = &*self.requests;
        let bound = || self.deadline().saturating_duration_since(Instant::now());
        let opened = async {
            let session = match &target.tls {
                Some(tls) => {
                    let session = ClientConnection::new(Arc::clone(&tls.config), tls.name.clone());
                    Some(session.map_err(io::Error::other)?)
                }
                None => None,
            };
            let mut connection = Connection::open(target, session, None, false, bound()).await?;
            // Nothing but time limits the size of a response.
            connection.received.limit = u64::MAX;
            connection.handshake(bound()).await;
            if connection.is_handshaking() {
                return Err(io::Error::other("the handshake failed"));
            }
            Ok(connection)
        };
        match opened.await {
            Ok(connection) => {
                self.openings.opened += 1;
                let kind = connection.session().and_then(|session| session.handshake_kind());
                self.openings.resumed += u64::from(kind == Some(HandshakeKind::Resumed));
                Ok(connection)
            }
            Err(error) => {
                let came = match error.kind() {
                    ErrorKind::ConnectionRefused => Came::Refused,
                    _ => self.late(Came::Unopened),
                };
                if came != Came::Unfinished {
                    self.openings.fail(&error);
                }
                Err(came)
            }
        }
    }
}

/// What became of the response, if that is settled.
fn look(connection: &Connection) -> Option<Came> {
    match connection.response() {
        Some(found) if found.complete => Some(Came::Whole(found.status)),
        _ if connection.received.http1.fault().is_some() => Some(Came::Cut),
        _ => connection.is_over().then_some(Came::Cut),
    }
}

async fn upload(connection: &mut Connection, mut bytes: u64, deadline: Instant) {
    while bytes > 0 && !connection.write_failed {
        let some = usize::try_from(bytes).unwrap_or(usize::MAX).min(ZEROS.len());
        if connection.send(&ZEROS[..some], false, deadline).await != Moved::Some {
            return;
        }
        bytes -= some as u64;
    }
}

const UPLOAD_LAST: &str = "{method} {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}Connection: close\r\n\
    Content-Length: {upload}\r\n\r\n";
