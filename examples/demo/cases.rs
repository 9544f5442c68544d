//! What is tried, and what counts as arrived.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use tokio_rustls::rustls::ClientConfig;
use tower_linger_tests::certs::{Certs, Version};
use tower_linger_tests::library_client;
use tower_linger_tests::peer::{Client, End, Manner, Seen, head};

use crate::server::{DOWNLOAD_BYTES, Servers};

/// One row of the table.
pub(crate) struct Case {
    exchange: Exchange,
    tls: bool,
}

/// What a client does.
enum Exchange {
    /// A large upload that the handler refuses at once.
    Upload(Bytes, Uploader),
    /// A large answer, while the request's own body stays unread, to a client that takes little at a time.
    Download,
    /// TLS 1.3 without the certificate that the server asks for. The client believes that its handshake is done, sends
    /// its request, and learns the truth from an alert.
    NoCertificate,
}

#[derive(Clone, Copy)]
enum Uploader {
    Raw(Manner),
    Reqwest,
}

/// Size of the upload that stays unread during the download.
const UNREAD_BYTES: usize = 900_000;
/// Receive buffer of the client that downloads.
const SMALL_BUFFER: u32 = 64 << 10;

impl Case {
    /// Every row.
    pub(crate) fn all(upload_mib: usize) -> Vec<Self> {
        let upload = Bytes::from(vec![0; upload_mib << 20]);
        let uploaders = [
            Uploader::Raw(Manner::StopsAtFailedWrite),
            Uploader::Raw(Manner::ReadsWhileWriting),
            Uploader::Reqwest,
        ];
        let mut cases = Vec::new();
        for tls in [false, true] {
            for uploader in uploaders {
                cases.push(Self { exchange: Exchange::Upload(upload.clone(), uploader), tls });
            }
            cases.push(Self { exchange: Exchange::Download, tls });
        }
        cases.push(Self { exchange: Exchange::NoCertificate, tls: true });
        cases
    }

    /// Tries it once.
    pub(crate) async fn run(&self, servers: &Servers, certs: &Certs) -> Seen {
        let tls = self.tls.then(|| certs.client(&[Version::Tls13]));
        let server = if self.tls { servers.tls } else { servers.plain };
        match &self.exchange {
            Exchange::Upload(body, Uploader::Reqwest) => {
                library_client::upload(server, "/upload", body.clone(), tls).await
            }
            Exchange::Upload(body, Uploader::Raw(manner)) => {
                raw(server, None, tls, "/upload", body.len(), *manner).await
            }
            Exchange::Download => {
                let manner = Manner::ReadsWhileWriting;
                raw(server, Some(SMALL_BUFFER), tls, "/download", UNREAD_BYTES, manner).await
            }
            Exchange::NoCertificate => {
                let manner = Manner::StopsAtFailedWrite;
                raw(servers.mutual_tls, None, tls, "/upload", UNREAD_BYTES, manner).await
            }
        }
    }

    /// Whether the client got what the server had to say.
    fn is_complete(&self, seen: &Seen) -> bool {
        match &self.exchange {
            Exchange::Upload(..) => seen.complete && seen.status == Some(413),
            Exchange::Download => seen.complete && seen.body == DOWNLOAD_BYTES,
            Exchange::NoCertificate => seen.end == End::Alert("CertificateRequired".into()),
        }
    }
}

async fn raw(
    server: SocketAddr,
    receive_buffer: Option<u32>,
    tls: Option<ClientConfig>,
    path: &str,
    body_bytes: usize,
    manner: Manner,
) -> Seen {
    match Client::connect(server, receive_buffer, tls.map(Arc::new)).await {
        Ok(client) => client.exchange(&head("PUT", path, body_bytes), body_bytes, manner).await,
        Err(error) => Seen { status: None, body: 0, complete: false, end: End::of(&error) },
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = if self.tls { "TLS" } else { "plain" };
        match &self.exchange {
            Exchange::NoCertificate => write!(f, "alert; client certificate missing ({transport} 1.3)"),
            Exchange::Download => write!(f, "8 MiB answer; 900 kB of upload unread ({transport})"),
            Exchange::Upload(body, uploader) => {
                let client = match uploader {
                    Uploader::Raw(Manner::StopsAtFailedWrite) => "stops at a failed write",
                    Uploader::Raw(Manner::ReadsWhileWriting) => "reads while it writes",
                    Uploader::Reqwest => "reqwest",
                };
                write!(f, "413 to {} MiB; client {client} ({transport})", body.len() >> 20)
            }
        }
    }
}

/// What a server's clients saw.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    /// Whole answers, the alert where that is the answer.
    pub(crate) complete: u32,
    /// Connections that ended in a reset, as far as the client saw.
    pub(crate) resets: u32,
    /// TLS connections whose end the server announced, by a `close_notify` or a fatal alert.
    pub(crate) announced: u32,
}

impl Tally {
    /// Counts one try.
    pub(crate) fn add(&mut self, case: &Case, seen: &Seen) {
        self.complete += u32::from(case.is_complete(seen));
        self.resets += u32::from(seen.end == End::Reset);
        self.announced += u32::from(matches!(seen.end, End::CloseNotify | End::Alert(_)));
    }
}

impl Case {
    /// Whether an announced end can be seen at all: plain TCP has none, and a client crate keeps it to itself.
    pub(crate) fn can_be_announced(&self) -> bool {
        self.tls && !matches!(self.exchange, Exchange::Upload(_, Uploader::Reqwest))
    }
}
