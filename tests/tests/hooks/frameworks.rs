//! The same app inside poem and inside salvo, which have requests, responses and handlers of their own.

use std::io;

use axum::Router;
use axum::body::{Body, Bytes};
use http_body_util::combinators::BoxBody;
use poem::EndpointExt as _;
use poem::http::uri::Scheme;
use poem::listener::{Acceptor, TcpAcceptor};
use poem::web::{LocalAddr, RemoteAddr};
use salvo_core::conn::rustls::{RustlsAcceptor, RustlsListener, ServerConfig};
use salvo_core::conn::{self, IntoConfigStream, Listener as _};
use salvo_core::http::ResBody;
use salvo_core::{Depot, FlowCtrl, Handler, Service, async_trait};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::StreamExt as _;
use tower::ServiceExt as _;
use tower_linger::{LingerLayer, RequestLayer};

use crate::happening::{REST, SWITCHING};

pub(crate) async fn poem(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    linger: Option<LingerLayer>,
    app: Router,
    watched: bool,
) {
    use tower_linger::poem::{LingerAcceptor, TlsLingerAcceptor};

    let acceptor = TcpAcceptor::from_tokio(listener).expect("a listener");
    let app = poem::endpoint::make(move |request| poem_answer(app.clone(), request));
    let app = if watched { app.with(RequestLayer).boxed() } else { app.map_to_response().boxed() };
    let served = match (linger, tls) {
        (None, None) => poem::Server::new_with_acceptor(acceptor).run(app).await,
        (None, Some(tls)) => poem::Server::new_with_acceptor(BareTls(acceptor, tls)).run(app).await,
        (Some(linger), None) => {
            poem::Server::new_with_acceptor(LingerAcceptor::new(acceptor, linger)).run(app).await
        }
        (Some(linger), Some(tls)) => {
            let acceptor = TlsLingerAcceptor::new(acceptor, linger.tls(tls));
            poem::Server::new_with_acceptor(acceptor).run(app).await
        }
    };
    served.expect("it never ends by itself");
}

/// TLS for poem, without the layer. poem's own brings a second library for cryptography.
struct BareTls(TcpAcceptor, TlsAcceptor);

impl Acceptor for BareTls {
    type Io = TlsStream<TcpStream>;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.0.local_addr()
    }

    /// One handshake after another is enough, because these tests have one client at a time.
    async fn accept(&mut self) -> io::Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        let (tcp, local, remote, _) = self.0.accept().await?;
        Ok((self.1.accept(tcp).await?, local, remote, Scheme::HTTPS))
    }
}

async fn poem_answer(app: Router, request: poem::Request) -> poem::Response {
    if let Some(upgraded) = request.headers().contains_key("upgrade").then(|| request.take_upgrade()) {
        let upgraded = upgraded.expect("an upgrade");
        tokio::spawn(async move {
            upgraded.await.expect("upgraded").write_all(REST.as_bytes()).await.expect("loopback");
        });
        let (status, [connection, protocol]) = SWITCHING;
        let response = poem::Response::builder().status(status);
        return response.header(connection.0, connection.1).header(protocol.0, protocol.1).finish();
    }
    let request: axum::http::Request<BoxBody<Bytes, io::Error>> = request.into();
    let Ok(response) = app.oneshot(request.map(Body::new)).await;
    let (head, body) = response.into_parts();
    let body =
        poem::Body::from_bytes_stream(body.into_data_stream().map(|part| part.map_err(io::Error::other)));
    let mut response = poem::Response::builder().status(head.status).body(body);
    *response.headers_mut() = head.headers;
    response
}

pub(crate) async fn salvo(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    linger: Option<LingerLayer>,
    app: Router,
    watched: bool,
) {
    use tower_linger::salvo::{LingerAcceptor, TlsLingerAcceptor};

    let router = salvo_core::Router::with_path("{**any}").goal(Goal(app));
    let service = Service::new(router);
    let service = if watched { service.hoop(RequestLayer) } else { service };
    match (linger, tls) {
        (None, None) => {
            let acceptor = conn::tcp::TcpAcceptor::try_from(listener).expect("a listener");
            salvo_core::Server::new(acceptor).serve(service).await;
        }
        (None, Some(tls)) => salvo_core::Server::new(salvo_tls(listener, &tls).await).serve(service).await,
        (Some(linger), None) => {
            let acceptor = LingerAcceptor::new(listener, linger).expect("a listener");
            salvo_core::Server::new(acceptor).serve(service).await;
        }
        (Some(linger), Some(tls)) => {
            let acceptor = TlsLingerAcceptor::new(listener, linger.tls(tls)).expect("a listener");
            salvo_core::Server::new(acceptor).serve(service).await;
        }
    }
}

/// salvo's own TLS.
async fn salvo_tls(listener: TcpListener, tls: &TlsAcceptor) -> RustlsAcceptor<conn::tcp::TcpAcceptor> {
    let config = Config(ServerConfig::clone(tls.config()));
    RustlsListener::new(config, Bound(listener)).bind().await
}

struct Bound(TcpListener);

impl conn::Listener for Bound {
    type Acceptor = conn::tcp::TcpAcceptor;

    async fn try_bind(self) -> salvo_core::Result<Self::Acceptor> {
        Ok(self.0.try_into()?)
    }
}

struct Config(ServerConfig);

impl IntoConfigStream<ServerConfig> for Config {
    type Stream = tokio_stream::Once<ServerConfig>;

    fn into_stream(self) -> Self::Stream {
        tokio_stream::once(self.0)
    }
}

struct Goal(Router);

#[async_trait]
impl Handler for Goal {
    async fn handle(
        &self,
        req: &mut salvo_core::Request,
        _: &mut Depot,
        res: &mut salvo_core::Response,
        _: &mut FlowCtrl,
    ) {
        let mut request = axum::extract::Request::new(Body::new(req.take_body()));
        *request.method_mut() = req.method().clone();
        *request.uri_mut() = req.uri().clone();
        *request.version_mut() = req.version();
        *request.headers_mut() = req.headers().clone();
        *request.extensions_mut() = std::mem::take(req.extensions_mut());
        let Ok(response) = self.0.clone().oneshot(request).await;
        let (head, body) = response.into_parts();
        res.status_code(head.status);
        res.set_headers(head.headers);
        res.replace_body(ResBody::stream(body.into_data_stream()));
    }
}
