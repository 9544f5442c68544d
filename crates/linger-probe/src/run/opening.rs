//! How a TLS connection begins: by a rustls session, or by a handwritten `ClientHello`.

use std::io;
use std::sync::Arc;

use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, SignatureScheme};

use crate::scenario::Opening;
use crate::target::Tls;

/// The TLS session for an opening. None for the one whose `ClientHello` is handwritten.
pub(crate) fn session(tls: &Tls, opening: Opening) -> io::Result<Option<ClientConnection>> {
    let with = |change: fn(&mut ClientConfig)| {
        let mut config = ClientConfig::clone(&tls.config);
        change(&mut config);
        Arc::new(config)
    };
    let config = match opening {
        Opening::OldVersion => return Ok(None),
        Opening::UnknownProtocol => with(|config| config.alpn_protocols = vec![b"linger-probe".to_vec()]),
        Opening::Http1 => with(|config| config.alpn_protocols = vec![b"http/1.1".to_vec()]),
        Opening::Http2 => with(|config| config.alpn_protocols = vec![b"h2".to_vec()]),
        Opening::NoCertificate => with(|config| config.client_auth_cert_resolver = Arc::new(NoCertificate)),
        Opening::Plain | Opening::SmallBuffer => Arc::clone(&tls.config),
    };
    ClientConnection::new(config, tls.name.clone()).map(Some).map_err(io::Error::other)
}

#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// A `ClientHello` of TLS 1.1 (RFC 4346 §7.4.1.2): record and handshake headers, version, random, no session
/// id, three cipher suites, no compression.
pub(crate) const OLD_HELLO: &[u8] = &[
    22, 3, 1, 0, 49, 1, 0, 0, 45, 3, 2, //
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
    29, 30, 31, 32, //
    0, 0, 6, 0, 0x2f, 0, 0x35, 0xc0, 0x13, 1, 0, //
];
