//! pingora. An app of connections goes around the app of requests, and hands it a stream of our own.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, ReusedHttpStream, ServerApp};
use pingora::protocols::http::ServerSession;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{SslDigest, TlsRef};
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType,
};
use pingora::server::{Server, ShutdownWatch};
use pingora::services::listening::Service;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tower_linger::{LingerIo, LingerLayer, Plain};

use crate::place::Place;

/// Refuses each request, as a filter of requests of a proxy does.
struct Refuse;

#[async_trait]
impl HttpServerApp for Refuse {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        _: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if session.read_request().await.ok()? {
            session.respond_error_with_body(413, "too large".into()).await.ok()?;
            session.finish().await.ok()?;
        }
        None
    }
}

fn serve(at: Place, app: impl ServerApp + Send + Sync + 'static) -> Result<(), Box<dyn Error>> {
    let mut service = Service::new("uploads".to_owned(), app);
    let address = at.address.to_string();
    match at.certificate {
        None => service.add_tcp(&address),
        Some(certificate) => {
            let path = |path: &std::path::Path| path.display().to_string();
            service.add_tls(&address, &path(&certificate.chain), &path(&certificate.key))?;
        }
    }
    let mut server = Server::new(None)?;
    server.bootstrap();
    server.add_service(service);
    server.run_forever()
}

pub fn bare(at: Place) -> Result<(), Box<dyn Error>> {
    serve(at, Refuse)
}

pub fn hooked(at: Place) -> Result<(), Box<dyn Error>> {
    serve(at, Linger { app: Arc::new(Refuse), linger: LingerLayer::default() })
}

/// An app of connections, around any other: what that one is done with lingers.
struct Linger<A> {
    app: Arc<A>,
    linger: LingerLayer,
}

#[async_trait]
impl<A: ServerApp + Send + Sync> ServerApp for Linger<A> {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let mut stream: Stream = Box::new(Lent(self.linger.wrap(Plain(stream))));
        loop {
            stream = self.app.process_new(stream, shutdown).await?;
        }
    }

    /// pingora calls it when it has stopped to accept.
    async fn cleanup(&self) {
        self.app.cleanup().await;
        self.linger.tracker().wait().await;
    }
}

/// A connection on loan, as a stream of pingora. All that it tells of itself is what the stream below tells.
#[derive(Debug)]
struct Lent(LingerIo<Plain<Stream>>);

impl Lent {
    fn stream(&self) -> &Stream {
        &self.0.get_ref().0
    }

    fn stream_mut(&mut self) -> &mut Stream {
        &mut self.0.get_mut().0
    }
}

#[async_trait]
impl Shutdown for Lent {
    async fn shutdown(&mut self) {
        // A failure is the connection's, and the close reports it.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

#[async_trait]
impl Peek for Lent {
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        self.stream_mut().try_peek(buf).await
    }
}

impl UniqueID for Lent {
    fn id(&self) -> UniqueIDType {
        self.stream().id()
    }
}

impl Ssl for Lent {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.stream().get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream().get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream().selected_alpn_proto()
    }
}

impl GetTimingDigest for Lent {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream().get_timing_digest()
    }
}

impl GetProxyDigest for Lent {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream().get_proxy_digest()
    }

    fn set_proxy_digest(&mut self, digest: ProxyDigest) {
        self.stream_mut().set_proxy_digest(digest);
    }
}

impl GetSocketDigest for Lent {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream().get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.stream_mut().set_socket_digest(digest);
    }
}

impl AsyncRead for Lent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Lent {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
