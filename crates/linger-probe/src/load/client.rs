//! One of a load's clients: a connection after another, or one for many requests.

use std::io;
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

/// What the clients of a load have in common.
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

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    requests: Arc<Requests>,
    connection: Option<Connection>,
    pub(super) opened: u64,
    pub(super) resumed: u64,
    pub(super) unopened: u64,
    pub(super) why: Option<String>,
}

impl Client {
    pub(super) fn new(requests: Arc<Requests>) -> Self {
        Self { requests, connection: None, opened: 0, resumed: 0, unopened: 0, why: None }
    }

    /// One request that was due then. None without a connection.
    pub(super) async fn exchange(&mut self, kind: Kind, due: Instant) -> Option<Exchange> {
        match self.try_once(kind, due).await? {
            Ok(exchange) => Some(exchange),
            // The server ended it before it saw the request: it is asked for again (RFC 9112 §9.3.1), on a new connection.
            Err(()) => self.try_once(kind, due).await?.ok(),
        }
    }

    /// `Err` where a kept connection turns out to be over.
    async fn try_once(&mut self, kind: Kind, due: Instant) -> Option<Result<Exchange, ()>> {
        let requests = Arc::clone(&self.requests);
        let reused = self.connection.is_some();
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.open().await?,
        };
        connection.forget();
        let deadline = Instant::now() + requests.timeout;
        let head = match kind {
            Kind::Get => &requests.get,
            Kind::Early413 => &requests.early,
            Kind::Large => &requests.large,
        };
        connection.send(head, false, deadline).await;
        if kind == Kind::Early413 {
            upload(&mut connection, requests.upload_bytes, deadline).await;
        }
        // A failed write ends it, response or not.
        let mut came = None;
        while came.is_none() && !connection.write_failed {
            came = look(&connection);
            if came.is_none() && connection.receive(deadline).await != Moved::Some {
                came = look(&connection).or(Some(Came::TimedOut));
            }
        }
        let (mut came, now) = (came.unwrap_or(Came::Cut), Instant::now());
        let over = connection.ended.is_some() || connection.write_failed;
        if came != Came::Whole && kind != Kind::Early413 && over && reused && connection.received.bytes == 0 {
            return Some(Err(()));
        }
        let mut end = None;
        if came == Came::Whole && !requests.keep_alive {
            // `close_notify` ends what the server has to say: clients close then, and some servers wait for that.
            let deadline = now + requests.timeout;
            while !connection.close_notify && connection.receive(deadline).await == Moved::Some {}
            let told = connection.close_notify || connection.ended.is_some();
            end = told.then(|| now.elapsed());
            if connection.close_notify {
                // As OpenSSL and rustls do: it tells the server that this side is done, too.
                connection.say_close_notify(deadline).await;
            }
        }
        let reset = connection.trace.has(Side::Server, &What::Reset);
        if came == Came::Cut && reset {
            came = Came::Reset;
        }
        let over = connection.ended.is_some() || connection.close_notify || connection.write_failed;
        let exchange = Exchange {
            came,
            latency: now.saturating_duration_since(due),
            end,
            ended: over.then_some(reset),
            announced: connection.close_notify,
        };
        if requests.keep_alive && !over && came == Came::Whole && kind != Kind::Early413 {
            self.connection = Some(connection);
        }
        Some(Ok(exchange))
    }

    async fn open(&mut self) -> Option<Connection> {
        let Requests { target, timeout, .. } = &*self.requests;
        let opened = async {
            let session = match &target.tls {
                Some(tls) => {
                    let session = ClientConnection::new(Arc::clone(&tls.config), tls.name.clone());
                    Some(session.map_err(io::Error::other)?)
                }
                None => None,
            };
            let mut connection = Connection::open(target, session, None, false, *timeout).await?;
            connection.handshake(*timeout).await;
            if connection.is_handshaking() {
                return Err(io::Error::other("the handshake failed"));
            }
            Ok(connection)
        };
        match opened.await {
            Ok(connection) => {
                self.opened += 1;
                let kind = connection.session().and_then(|session| session.handshake_kind());
                self.resumed += u64::from(kind == Some(HandshakeKind::Resumed));
                Some(connection)
            }
            Err(error) => {
                self.unopened += 1;
                self.why.get_or_insert_with(|| error.to_string());
                None
            }
        }
    }
}

/// What has come of the response, if that is settled.
fn look(connection: &Connection) -> Option<Came> {
    match connection.response() {
        Some(found) if found.complete => Some(Came::Whole),
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

const UPLOAD_LAST: &str = "{method} {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}Connection: close\r\nContent-Length: {upload}\r\n\r\n";
