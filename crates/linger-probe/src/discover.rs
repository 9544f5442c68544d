//! Takes a first look at a server: is it there, does it speak what its URL says, and what else does it
//! support?

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_rustls::rustls;

use crate::battery::GET_LAST;
use crate::check::Abilities;
use crate::connection::{Connection, Moved};
use crate::dial::dial;
use crate::error::Error;
use crate::guess::speaks_tls;
use crate::http2::PREFACE;
use crate::response::{Head, NOT_HTTP};
use crate::run::{fill, session};
use crate::scenario::Opening;
use crate::target::{Options, Target};
use crate::tls_words;

/// Finds out what this server supports, and sets the target's address to the first that accepts connections.
///
/// Opens at most [`LOOK_CONNECTIONS`], and one more for each address that accepts none. Each wait takes at
/// most the options' timeout.
///
/// # Errors
/// No server listens there; or it does not speak what its URL says, is not trusted, redirects, or does not
/// answer.
pub async fn discover(target: &mut Target, options: &Options) -> Result<Abilities, Error> {
    timeout(options.timeout, reach(target))
        .await
        .unwrap_or_else(|late| Err(Error::Unreachable { place: target.place(), why: late.into() }))?;
    let look = Look { target, options };
    let is_tls = look.target.tls.is_some();
    // This comes first, because it reports what is wrong with the TLS handshake.
    let first = look.answer().await;
    let http2 = match &first {
        Ok(_)
        | Err(
            Error::NotHttp { .. }
            | Error::NoResponse { .. }
            | Error::Silent { .. }
            | Error::Unfinished { .. },
        ) => look.speaks_http2().await?,
        // Perhaps it refuses because the hello offered no ALPN protocol, and speaks only HTTP/2.
        Err(Error::Refused { .. }) if is_tls => look.speaks_http2().await?,
        Err(
            Error::Url { .. }
            | Error::File { .. }
            | Error::Name { .. }
            | Error::NotAllowed { .. }
            | Error::Unreachable { .. }
            | Error::NotPlain { .. }
            | Error::NotTls { .. }
            | Error::Certificate { .. }
            | Error::Refused { .. }
            | Error::Redirect { .. },
        ) => false,
    };
    let head = match first {
        Ok(head) => Some(head),
        Err(_) if http2 => None,
        Err(error) => return Err(error),
    };
    let http1 = match &head {
        // A server that speaks only HTTP/2 can still answer an HTTP/1 client, to refuse it.
        Some(_) if http2 && is_tls => look.negotiates_http1().await?,
        Some(head) => !http2 || head.minor == 1,
        None => false,
    };
    let redirect = head.as_ref().filter(|head| http1 && (300..400).contains(&head.status));
    if let Some(head) = redirect {
        let location = head.location.clone().unwrap_or_else(|| "nowhere".to_owned());
        return Err(Error::Redirect { url: look.target.url.clone(), location });
    }
    Ok(Abilities {
        http1,
        http2,
        concurrent: !http1 || look.serves_two_at_once().await?,
        alpn: is_tls && look.refuses_protocols().await?,
        client_certificate: is_tls && http1 && look.asks_for_certificate().await?,
        status: head.as_ref().map(|head| head.status),
        server: head.and_then(|head| head.server),
    })
}

/// Sets the target's address to the first that accepts a connection.
async fn reach(target: &mut Target) -> Result<(), Error> {
    loop {
        let Err(why) = dial(target, None).await else { return Ok(()) };
        if target.others.is_empty() {
            return Err(Error::Unreachable { place: target.place(), why });
        }
        target.address = target.others.remove(0);
    }
}

struct Look<'a> {
    target: &'a Target,
    options: &'a Options,
}

impl Look<'_> {
    /// The head of the answer to an ordinary request. Whether the whole response arrives is for the rows to
    /// judge.
    async fn answer(&self) -> Result<Head, Error> {
        let mut connection = self.open(Opening::Plain).await?;
        let url = || self.target.url.clone();
        if connection.is_handshaking() {
            return Err(match (connection.alert.take(), connection.tls_error.take()) {
                (Some(alert), _) => Error::Refused { url: url(), alert },
                (None, Some(rustls::Error::InvalidCertificate(why))) => {
                    let (why, fix) = tls_words::certificate(&why);
                    Error::Certificate { url: url(), why, fix }
                }
                (None, Some(_)) => Error::NotTls { url: url() },
                (None, None) if connection.ended.is_some() => Error::NoResponse { url: url() },
                (None, None) => self.silent(),
            });
        }
        self.request(&mut connection, Instant::now() + self.options.timeout).await;
        if let Some(alert) = connection.alert.take() {
            return Err(Error::Refused { url: url(), alert });
        }
        let http1 = &connection.received.http1;
        // Some TLS servers answer plain HTTP with 400.
        let suspicious = http1.head().is_none_or(|head| head.status == 400);
        if suspicious && self.target.tls.is_none() && self.hides_tls().await {
            return Err(Error::NotPlain { url: url() });
        }
        match (http1.head(), http1.fault()) {
            (Some(head), _) => Ok(head.clone()),
            (None, Some(NOT_HTTP)) => Err(Error::NotHttp { url: url() }),
            (None, Some(fault)) => Err(Error::Unfinished { url: url(), what: fault.to_owned() }),
            (None, None) if connection.received.bytes == 0 && connection.is_over() => {
                Err(Error::NoResponse { url: url() })
            }
            (None, None) if connection.received.bytes == 0 => Err(self.silent()),
            (None, None) => {
                let what =
                    if http1.has_answered() { "interim responses only" } else { "a head that does not end" };
                Err(Error::Unfinished { url: url(), what: what.to_owned() })
            }
        }
    }

    /// Whether it speaks TLS although its URL does not say so. A server that does not answer a hello does
    /// not.
    async fn hides_tls(&self) -> bool {
        let hello = timeout(self.options.timeout.min(HELLO), speaks_tls(self.target));
        matches!(hello.await, Ok(Ok(true)))
    }

    /// Whether it answers a request while another connection is open and idle.
    async fn serves_two_at_once(&self) -> Result<bool, Error> {
        let soon = || Instant::now() + self.options.timeout.min(BESIDE);
        let idle = self.start(Opening::Plain).await?;
        let mut other = self.start(Opening::Plain).await?;
        other.handshake(self.options.timeout.min(BESIDE)).await;
        if !other.is_handshaking() {
            self.request(&mut other, soon()).await;
        }
        let answers = other.received.http1.head().is_some() || other.is_over();
        drop(idle);
        if !answers {
            // Let the server finish this connection before the next one is opened.
            let deadline = Instant::now() + self.options.timeout;
            if other.is_handshaking() {
                other.handshake(self.options.timeout).await;
                self.request(&mut other, deadline).await;
            } else {
                other.receive_to_end(deadline).await;
            }
        }
        Ok(answers)
    }

    /// Whether its first frame is SETTINGS (RFC 9113 §3.4). HTTP/2 is chosen by ALPN over TLS, otherwise by
    /// prior knowledge (§3.3).
    async fn speaks_http2(&self) -> Result<bool, Error> {
        let mut connection = self.open(Opening::Http2).await?;
        let negotiated = connection.session().is_none_or(|session| session.alpn_protocol() == Some(b"h2"));
        if connection.is_handshaking() || !negotiated {
            return Ok(false);
        }
        // A server sends its SETTINGS without waiting for the client's (RFC 9113 §3.4).
        let deadline = Instant::now() + self.options.timeout.min(BESIDE);
        connection.send(PREFACE, true, deadline).await;
        let told = |connection: &Connection| {
            let frames = connection.received.http2.as_ref();
            frames.is_none_or(|frames| frames.settings || frames.is_garbled)
        };
        while !told(&connection) && connection.receive(deadline).await == Moved::Some {}
        Ok(connection.received.http2.is_some_and(|frames| frames.settings))
    }

    /// Whether it selects HTTP/1.1 if ALPN offers nothing else.
    async fn negotiates_http1(&self) -> Result<bool, Error> {
        let connection = self.open(Opening::Http1).await?;
        Ok(connection.session().is_some_and(|session| session.alpn_protocol() == Some(b"http/1.1")))
    }

    /// Whether it refuses an unknown application protocol, with or without an alert.
    async fn refuses_protocols(&self) -> Result<bool, Error> {
        Ok(self.open(Opening::UnknownProtocol).await?.is_handshaking())
    }

    async fn asks_for_certificate(&self) -> Result<bool, Error> {
        let mut connection = self.open(Opening::NoCertificate).await?;
        if connection.is_handshaking() {
            return Ok(true);
        }
        self.request(&mut connection, Instant::now() + self.options.timeout).await;
        Ok(connection.received.http1.head().is_none())
    }

    async fn open(&self, opening: Opening) -> Result<Connection, Error> {
        let mut connection = self.start(opening).await?;
        connection.handshake(self.options.timeout).await;
        Ok(connection)
    }

    /// Opens a connection, without the TLS handshake.
    async fn start(&self, opening: Opening) -> Result<Connection, Error> {
        let tls = self.target.tls.as_ref();
        let session =
            tls.map(|tls| session(tls, opening)).transpose().map_err(|why| self.unreachable(why))?;
        self.connect(session.flatten(), opening == Opening::Http2).await
    }

    async fn connect(
        &self,
        session: Option<rustls::ClientConnection>,
        http2: bool,
    ) -> Result<Connection, Error> {
        let opened = Connection::open(self.target, session, None, http2, self.options.timeout).await;
        opened.map_err(|why| self.unreachable(why))
    }

    /// Sends a request, and reads up to the end of the response's head or of the connection.
    async fn request(&self, connection: &mut Connection, deadline: Instant) {
        connection.send(fill(GET_LAST, self.target, self.options).as_bytes(), true, deadline).await;
        let http1 = |connection: &Connection| {
            let http1 = &connection.received.http1;
            http1.head().is_some() || http1.fault().is_some()
        };
        while !http1(connection) && !connection.is_over() && connection.receive(deadline).await == Moved::Some
        {
        }
    }

    fn unreachable(&self, why: std::io::Error) -> Error {
        Error::Unreachable { place: self.target.place(), why }
    }

    fn silent(&self) -> Error {
        Error::Silent { url: self.target.url.clone(), bound: self.options.timeout }
    }
}

/// One that is only opened, one with a request, one with a hello, and one or two for each ability.
pub const LOOK_CONNECTIONS: u64 = 9;
/// How long to wait for a server that should answer at once.
const BESIDE: Duration = Duration::from_secs(3);
/// How long to wait for the answer to a hello by a server that may expect plain HTTP.
const HELLO: Duration = Duration::from_secs(1);
