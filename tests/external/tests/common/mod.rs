//! What the tests share: connected sockets, a certificate, and servers and clients over TLS.

use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;

use openssl::pkey::PKey;
use openssl::ssl::{Ssl, SslAcceptor, SslMethod, SslVersion};
use openssl::x509::X509;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio_openssl::SslStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use tower_linger::Transport;
use tower_linger_external::proxied::Proxied;

pub static VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// The two ends of a TCP connection, client first. The server's receive buffer is a large one.
pub async fn pair() -> (TcpStream, TcpStream) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(1 << 20).expect("a socket");
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("there is a free port");
    let listener = socket.listen(1).expect("a port");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("loopback");
    let (server, _) = listener.accept().await.expect("loopback");
    // As servers do. Without it, a small write may wait for an acknowledgement, and leave with the next one.
    server.set_nodelay(true).expect("a socket");
    (client, server)
}

/// The balancer's end and the server's, whose header is read.
pub async fn proxied<S: Transport>(mut client: TcpStream, server: S) -> (TcpStream, Proxied<S>) {
    client.write_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n").await.expect("loopback");
    (client, Proxied::accept(server).await.expect("a header"))
}

/// A certificate for localhost, which its clients trust.
pub struct Certificate(CertifiedKey<KeyPair>);

impl Certificate {
    pub fn make() -> Self {
        Self(generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate"))
    }

    pub fn rustls(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.0.signing_key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                config.with_no_client_auth().with_single_cert(vec![self.0.cert.der().clone()], key)
            });
        TlsAcceptor::from(Arc::new(config.expect("the key is that of the certificate")))
    }

    /// Speaks TLS 1.2 and later.
    pub fn openssl(&self) -> SslAcceptor {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("OpenSSL");
        acceptor.set_min_proto_version(Some(SslVersion::TLS1_2)).expect("a version");
        let key = PKey::private_key_from_der(&self.0.signing_key.serialize_der()).expect("a key");
        acceptor.set_private_key(&key).expect("a key");
        acceptor.set_certificate(&X509::from_der(self.0.cert.der()).expect("a certificate")).expect("one");
        acceptor.build()
    }

    pub async fn connect(
        &self,
        tcp: TcpStream,
        version: &'static SupportedProtocolVersion,
        alpn: &[u8],
    ) -> std::io::Result<client::TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.cert.der().clone()).expect("a certificate");
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .expect("ring has it")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols.extend((!alpn.is_empty()).then(|| alpn.to_vec()));
        let name = "localhost".try_into().expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await
    }

    /// The two ends of a connection whose server is rustls, on this transport.
    pub async fn rustls_over<S: Transport>(
        &self,
        version: &'static SupportedProtocolVersion,
        client: TcpStream,
        server: S,
    ) -> (client::TlsStream<TcpStream>, server::TlsStream<S>) {
        let accepting = self.rustls().accept(server);
        let (client, server) = tokio::join!(self.connect(client, version, b""), accepting);
        (client.expect("loopback"), server.expect("loopback"))
    }

    /// The two ends of a connection whose server is OpenSSL, on this transport.
    pub async fn openssl_over<S: Transport>(
        &self,
        version: &'static SupportedProtocolVersion,
        client: TcpStream,
        server: S,
    ) -> (client::TlsStream<TcpStream>, SslStream<S>) {
        let ssl = Ssl::new(self.openssl().context()).expect("OpenSSL");
        let mut server = SslStream::new(ssl, server).expect("OpenSSL");
        let accepting = Pin::new(&mut server).accept();
        let (client, accepted) = tokio::join!(self.connect(client, version, b""), accepting);
        accepted.expect("loopback");
        (client.expect("loopback"), server)
    }
}
