//! The same app behind each hook: bare, with the layer, plain or over TLS.

use std::future::{Future, ready};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ClientConfig;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::server::Connected;
use tower::{Layer, Service, service_fn};
use tower_linger::axum::{LingerListener, TlsLingerListener};
use tower_linger::axum_server::{LingerAcceptor, TlsLingerAcceptor};
use tower_linger::{HyperErrors, LingerLayer};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::peer::Client;
use tower_linger_tests::server::{BareTls, Http, accept_loop};

use crate::frameworks::{poem, salvo};

/// Which server owns the connections, and how the layer is put around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    /// `axum::serve` with the listeners of the adapter.
    Axum,
    /// axum-server with the acceptors of the adapter.
    AxumServer,
    /// tonic, with what `LingerLayer::wrap` returns in its incoming stream.
    Tonic,
    /// poem with the listeners of the adapter, and with `RequestLayer` as its middleware.
    Poem { watched: bool },
    /// salvo with the acceptors of the adapter, and with `RequestLayer` as its hoop.
    Salvo { watched: bool },
    /// A loop around hyper-util, with `LingerLayer` as it is by default.
    Layer,
    /// The same with `HyperErrors`.
    HyperErrors,
    /// The same with `LingerLayer::wrap`.
    Wrap,
    /// `tower_linger::serve`, which is such a loop.
    Serve,
}

impl Hook {
    /// tonic does not support upgrades.
    pub(crate) fn upgrades(self) -> bool {
        self != Self::Tonic
    }
}

/// Both sides' TLS configurations. Made once, because making a certificate takes a while.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    client: Arc<ClientConfig>,
}

impl Tls {
    pub(crate) fn make() -> Self {
        let certs = Certs::make();
        let acceptor = TlsAcceptor::from(Arc::new(certs.server(&Version::ALL, ClientAuth::None)));
        Self { acceptor, client: Arc::new(certs.client(&Version::ALL)) }
    }
}

/// A server in a runtime of its own. Ending the runtime stands for the end of the server's process.
pub(crate) struct Server {
    address: SocketAddr,
    pub(crate) allows_half_close: bool,
    tls: Option<Tls>,
    linger: Option<LingerLayer>,
    /// Of axum-server only, which has its own deadline.
    handle: Option<axum_server::Handle<SocketAddr>>,
    runtime: Option<Runtime>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Dropping it would block, which asynchronous code must not.
            runtime.shutdown_background();
        }
    }
}

impl Server {
    /// Serves `app` by this hook, or by the same server without the layer.
    pub(crate) fn start(hook: Hook, tls: Option<&Tls>, linger: Option<LingerLayer>, app: Router) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("bound");
        let handle = (hook == Hook::AxumServer).then(axum_server::Handle::new);
        let acceptor = tls.map(|tls| tls.acceptor.clone());
        let (layer, listening) = (linger.clone(), handle.clone());
        runtime.spawn(async move {
            if let Some(handle) = listening {
                return axum_server(handle, listener, acceptor, layer, app).await;
            }
            let listener = TcpListener::from_std(listener).expect("a listener");
            match hook {
                Hook::Axum => axum(listener, acceptor, layer, app).await,
                Hook::Tonic => tonic(listener, acceptor, layer, app).await,
                Hook::Poem { watched } => poem(listener, acceptor, layer, app, watched).await,
                Hook::Salvo { watched } => salvo(listener, acceptor, layer, app, watched).await,
                Hook::Layer | Hook::HyperErrors | Hook::Wrap => {
                    own_loop(hook, listener, acceptor, layer, app).await;
                }
                Hook::Serve => serve(listener, acceptor, layer, app).await,
                Hook::AxumServer => unreachable!("it has a handle"),
            }
        });
        // poem polls a connection again after hyper has given it up, and hyper goes on with the response.
        let allows_half_close = matches!(hook, Hook::Serve | Hook::Poem { .. });
        Self { address, allows_half_close, tls: tls.cloned(), linger, handle, runtime: Some(runtime) }
    }

    pub(crate) async fn connect(&self, receive_buffer: Option<u32>) -> Client {
        let config = self.tls.as_ref().map(|tls| tls.client.clone());
        Client::connect(self.address, receive_buffer, config).await.expect("loopback")
    }

    /// Reaches the deadline of the server's shutdown: the tracker cuts its connections, and without the
    /// layer the process ends. axum-server first asks hyper to end idle connections and, after this grace,
    /// drops the others.
    pub(crate) async fn reach_deadline(&mut self, grace: Duration) {
        match (&self.handle, &self.linger) {
            (Some(handle), _) => handle.graceful_shutdown(Some(grace)),
            (None, Some(linger)) => {
                let _summary = linger.tracker().shutdown(Duration::ZERO).await;
            }
            (None, None) => self.runtime.take().expect("it runs").shutdown_background(),
        }
    }
}

async fn axum(listener: TcpListener, tls: Option<TlsAcceptor>, linger: Option<LingerLayer>, app: Router) {
    let served = match (linger, tls) {
        (None, None) => axum::serve(listener, app).await,
        (None, Some(tls)) => axum::serve(tls_listener::builder(tls).listen(listener), app).await,
        (Some(linger), None) => axum::serve(LingerListener::new(listener, linger), app).await,
        (Some(linger), Some(tls)) => {
            axum::serve(TlsLingerListener::new(listener, linger.tls(tls)), app).await
        }
    };
    served.expect("it never ends by itself");
}

async fn axum_server(
    handle: axum_server::Handle<SocketAddr>,
    listener: std::net::TcpListener,
    tls: Option<TlsAcceptor>,
    linger: Option<LingerLayer>,
    app: Router,
) {
    let server = axum_server::from_tcp(listener).expect("a listener").handle(handle);
    let app = app.into_make_service();
    let ended = match (linger, tls) {
        (None, None) => server.serve(app).await,
        (None, Some(tls)) => {
            let config = RustlsConfig::from_config(tls.config().clone());
            server.acceptor(RustlsAcceptor::new(config)).serve(app).await
        }
        (Some(linger), None) => server.acceptor(LingerAcceptor::new(linger)).serve(app).await,
        (Some(linger), Some(tls)) => {
            server.acceptor(TlsLingerAcceptor::new(linger.tls(tls))).serve(app).await
        }
    };
    ended.expect("it ends at its deadline");
}

async fn tonic(listener: TcpListener, tls: Option<TlsAcceptor>, linger: Option<LingerLayer>, app: Router) {
    match (linger, tls) {
        (None, None) => tonic_over(listener, |tcp| ready(Ok(tcp)), app).await,
        (None, Some(tls)) => tonic_over(listener, move |tcp| tls.accept(tcp), app).await,
        (Some(linger), None) => tonic_over(listener, move |tcp| ready(Ok(linger.wrap(tcp))), app).await,
        (Some(linger), Some(tls)) => {
            let accept = move |tcp| {
                let (handshake, linger) = (tls.accept(tcp), linger.clone());
                async move { Ok(linger.wrap(handshake.await?)) }
            };
            tonic_over(listener, accept, app).await;
        }
    }
}

async fn tonic_over<I, F>(listener: TcpListener, accept: impl Fn(TcpStream) -> F, app: Router)
where
    I: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    F: Future<Output = io::Result<I>>,
{
    let (accepted, incoming) = tokio::sync::mpsc::unbounded_channel();
    let incoming = UnboundedReceiverStream::new(incoming).map(Ok::<I, io::Error>);
    let routes = tonic::service::Routes::from(app);
    let serve = tonic::transport::Server::builder().accept_http1(true).add_routes(routes);
    let accepting = async {
        while let Ok((stream, _)) = listener.accept().await {
            // One handshake after another is enough, because these tests have one client at a time.
            if let Ok(stream) = accept(stream).await {
                drop(accepted.send(stream));
            }
        }
    };
    tokio::select! {
        served = serve.serve_with_incoming(incoming) => served.expect("it never ends by itself"),
        () = accepting => {}
    }
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, linger: Option<LingerLayer>, app: Router) {
    let server = tower_linger::serve(listener, app).linger(linger.expect("it is never bare"));
    match tls {
        None => server.await,
        Some(tls) => server.tls(tls.config().clone()).await,
    };
}

async fn own_loop(
    hook: Hook,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    linger: Option<LingerLayer>,
    app: Router,
) {
    let mut http = Http::new(app);
    let running = match (hook, linger, tls) {
        (Hook::Axum | Hook::AxumServer | Hook::Tonic | Hook::Serve, ..) => {
            unreachable!("these own their loop")
        }
        (Hook::Poem { .. } | Hook::Salvo { .. }, ..) => unreachable!("so do these"),
        (Hook::Layer | Hook::HyperErrors | Hook::Wrap, None, None) => accept_loop(listener, http),
        (Hook::Layer | Hook::HyperErrors | Hook::Wrap, None, Some(tls)) => {
            accept_loop(listener, BareTls::new(tls, http))
        }
        (Hook::Layer, Some(linger), None) => accept_loop(listener, linger.layer(http)),
        (Hook::Layer, Some(linger), Some(tls)) => accept_loop(listener, linger.tls(tls).layer(http)),
        (Hook::HyperErrors, Some(linger), None) => {
            accept_loop(listener, linger.classify(HyperErrors).layer(http))
        }
        (Hook::HyperErrors, Some(linger), Some(tls)) => {
            accept_loop(listener, linger.classify(HyperErrors).tls(tls).layer(http))
        }
        (Hook::Wrap, Some(linger), None) => {
            accept_loop(listener, service_fn(move |tcp| http.call(linger.wrap(tcp))))
        }
        (Hook::Wrap, Some(linger), Some(tls)) => {
            accept_loop(listener, BareTls::new(tls, service_fn(move |tls| http.call(linger.wrap(tls)))))
        }
    };
    std::future::pending::<()>().await;
    drop(running);
}
