//! A first look at a server: is it there, does it speak what its URL says, and what else can it do?

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::rustls;

use crate::battery::{GET_LAST, PREFACE};
use crate::check::Abilities;
use crate::connection::{Connection, Ended, Moved};
use crate::error::Error;
use crate::judge::raw_alert;
use crate::response;
use crate::run::{fill, session};
use crate::scenario::Opening;
use crate::target::{Options, Target};

/// What this server can do, once it has shown that it answers a request. Settles on the address that takes connections.
/// It makes at most [`LOOK_CONNECTIONS`], and one more for each address that takes none.
///
/// # Errors
/// Nobody listens there; or the server does not speak what its URL says, is not trusted, redirects, or does not answer within
/// the options' timeout.
pub async fn discover(target: &mut Target, options: &Options) -> Result<Abilities, Error> {
    timeout(options.timeout, reach(target))
        .await
        .unwrap_or_else(|late| Err(Error::Unreachable { address: target.address, why: late.into() }))?;
    let look = Look { target, options };
    timeout(options.timeout, look.answer()).await.unwrap_or_else(|_| Err(look.silent()))?;
    let bounded = async |look_for| timeout(options.timeout, look_for).await.unwrap_or(Ok(false));
    Ok(Abilities {
        http2: bounded(look.speaks(Ability::Http2)).await?,
        alpn: look.target.tls.is_some() && bounded(look.speaks(Ability::Alpn)).await?,
        client_certificate: look.target.tls.is_some()
            && bounded(look.speaks(Ability::ClientCertificate)).await?,
    })
}

/// Settles on the first of a target's addresses that takes a connection.
async fn reach(target: &mut Target) -> Result<(), Error> {
    loop {
        let Err(why) = TcpStream::connect(target.address).await else { return Ok(()) };
        if target.others.is_empty() {
            return Err(Error::Unreachable { address: target.address, why });
        }
        target.address = target.others.remove(0);
    }
}

#[derive(Clone, Copy)]
enum Ability {
    Http2,
    Alpn,
    ClientCertificate,
}

struct Look<'a> {
    target: &'a Target,
    options: &'a Options,
}

impl Look<'_> {
    /// An ordinary request has an ordinary answer.
    async fn answer(&self) -> Result<(), Error> {
        let mut connection = self.open(Opening::Plain).await?;
        let url = || self.target.url.clone();
        if connection.is_handshaking() {
            return Err(match (connection.alert.take(), connection.tls_error.take()) {
                (Some(alert), _) => Error::Refused { url: url(), alert },
                (None, Some(rustls::Error::InvalidCertificate(why))) => {
                    Error::Certificate { url: url(), why: format!("{why:?}") }
                }
                (None, Some(_)) => Error::NotTls { url: url() },
                (None, None) if connection.ended.is_some() => Error::NoResponse { url: url() },
                (None, None) => self.silent(),
            });
        }
        let received = self.request(&mut connection).await;
        if let Some(alert) = connection.alert.take() {
            return Err(Error::Refused { url: url(), alert });
        }
        let ended = connection.ended.is_some();
        let clean = connection.ended == Some(Ended::Fin);
        match response::parse(&received, clean) {
            Ok(Some(found)) if (300..400).contains(&found.status) => {
                let location = response::location(&received).unwrap_or_else(|| "nowhere".to_owned());
                Err(Error::Redirect { url: url(), location })
            }
            // A TLS server's word to a plain client is 400, too.
            Ok(Some(found)) if found.status != 400 => Ok(()),
            _ if self.target.tls.is_none() && self.hides_tls().await? => Err(Error::NotPlain { url: url() }),
            Ok(Some(_)) => Ok(()),
            Ok(None) if !received.is_empty() && ended => Err(Error::NotHttp { url: url() }),
            Ok(None) if ended => Err(Error::NoResponse { url: url() }),
            Ok(None) => Err(self.silent()),
            Err(_) => Err(Error::NotHttp { url: url() }),
        }
    }

    /// Whether a TLS hello has an answer in TLS. Any hello will do: that is alert or handshake.
    async fn hides_tls(&self) -> Result<bool, Error> {
        let mut connection = self.connect(None).await?;
        let deadline = Instant::now() + self.options.timeout;
        connection.send_raw(crate::run::OLD_HELLO, deadline).await;
        while connection.received.is_empty() && connection.receive(deadline).await == Moved::Some {}
        Ok(raw_alert(&connection.received).is_some()
            || connection.received.first() == Some(&HANDSHAKE_RECORD))
    }

    async fn speaks(&self, ability: Ability) -> Result<bool, Error> {
        let opening = match ability {
            Ability::Http2 => Opening::Http2,
            Ability::Alpn => Opening::UnknownProtocol,
            Ability::ClientCertificate => Opening::NoCertificate,
        };
        let mut connection = self.open(opening).await?;
        let is_open = !connection.is_handshaking();
        let deadline = Instant::now() + self.options.timeout;
        Ok(match ability {
            // It refuses what it does not know, in whatever words.
            Ability::Alpn => !is_open,
            Ability::ClientCertificate if is_open => {
                let received = self.request(&mut connection).await;
                !matches!(response::parse(&received, true), Ok(Some(_)))
            }
            Ability::ClientCertificate => true,
            Ability::Http2 if is_open => {
                connection.send(PREFACE, true, deadline).await;
                while connection.received.len() < 4 && connection.receive(deadline).await == Moved::Some {}
                connection.received.get(3) == Some(&SETTINGS)
            }
            Ability::Http2 => false,
        })
    }

    async fn open(&self, opening: Opening) -> Result<Connection, Error> {
        let tls = self.target.tls.as_ref();
        let session =
            tls.map(|tls| session(tls, opening)).transpose().map_err(|why| self.unreachable(why))?;
        let mut connection = self.connect(session.flatten()).await?;
        connection.handshake(self.options.timeout).await;
        Ok(connection)
    }

    async fn connect(&self, session: Option<rustls::ClientConnection>) -> Result<Connection, Error> {
        let opened = Connection::open(self.target, session, None, self.options.timeout).await;
        opened.map_err(|why| self.unreachable(why))
    }

    /// Sends a request and reads to the end of its response, or of the connection.
    async fn request(&self, connection: &mut Connection) -> Vec<u8> {
        let deadline = Instant::now() + self.options.timeout;
        connection.send(fill(GET_LAST, self.target, self.options).as_bytes(), true, deadline).await;
        let whole = |received: &[u8]| match response::parse(received, false) {
            Ok(found) => found.is_some_and(|found| found.complete),
            Err(_) => true,
        };
        while !whole(&connection.received) && connection.receive(deadline).await == Moved::Some {}
        connection.received.clone()
    }

    fn unreachable(&self, why: std::io::Error) -> Error {
        Error::Unreachable { address: self.target.address, why }
    }

    fn silent(&self) -> Error {
        Error::Silent { url: self.target.url.clone(), bound: self.options.timeout }
    }
}

/// One that is only opened, one request, a hello, and one for each ability.
pub const LOOK_CONNECTIONS: u64 = 6;
const HANDSHAKE_RECORD: u8 = 22;
const SETTINGS: u8 = 4;
