//! ntex. A transport's task owns the socket, so the hook is a transport, under an accept loop of our own.

use std::any::{Any, TypeId};
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use ntex::http::HttpService;
use ntex::io::{Handle, Io, IoContext, IoStream, IoTaskStatus, Readiness, types::PeerAddr};
use ntex::service::{Pipeline, ServiceFactory};
use ntex::web::types::Json;
use ntex::web::{self, App, HttpServer};
use ntex::{SharedCfg, rt};
use tokio::io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tower_linger::{LingerIo, LingerLayer};

use crate::place::Place;

macro_rules! app {
    () => {
        App::new().route("/", web::post().to(async |_: Json<String>| "thanks"))
    };
}

pub fn bare(at: Place) -> Result<(), Box<dyn Error>> {
    rt::System::new("bare", rt::DefaultRuntime).block_on(async move {
        let server = HttpServer::new(async || app!());
        let server = match at.certificate {
            None => server.bind(at.address)?,
            Some(certificate) => server.bind_rustls(at.address, &certificate.server()?)?,
        };
        Ok(server.run().await?)
    })
}

pub fn hooked(at: Place) -> Result<(), Box<dyn Error>> {
    rt::System::new("hooked", rt::DefaultRuntime).block_on(async move {
        let (listener, linger, config) =
            (TcpListener::bind(at.address).await?, LingerLayer::default(), SharedCfg::default());
        macro_rules! serve {
            ($http:expr) => {{
                let http = Pipeline::new($http.create(config.clone()).await.map_err(|_| "the app failed")?);
                loop {
                    let io = Io::new(Lent(linger.wrap(listener.accept().await?.0)), config.clone());
                    rt::spawn(http.call_static(io));
                }
            }};
        }
        match at.certificate {
            None => serve!(HttpService::new(app!())),
            Some(certificate) => serve!(HttpService::new(app!()).rustls(certificate.server()?)),
        }
    })
}

/// A connection on loan, as a transport of ntex.
struct Lent(LingerIo<TcpStream>);

impl IoStream for Lent {
    fn start(self, context: IoContext) -> Box<dyn Handle> {
        let peer = self.0.get_ref().peer_addr().ok();
        rt::spawn(carry(self.0, context));
        Box::new(Peer(peer))
    }
}

/// All that ntex asks a transport about: who the client is.
struct Peer(Option<SocketAddr>);

impl Handle for Peer {
    fn query(&self, id: TypeId) -> Option<Box<dyn Any>> {
        let address = self.0.filter(|_| id == TypeId::of::<PeerAddr>())?;
        Some(Box::new(PeerAddr(address)))
    }
}

/// Moves bytes between the connection and ntex's buffers, until ntex closes.
async fn carry(mut io: LingerIo<TcpStream>, context: IoContext) {
    let mut chunk = vec![0; 16 << 10];
    poll_fn(|cx| {
        while let Poll::Ready(Readiness::Ready) = context.poll_read_ready(cx) {
            let mut read = ReadBuf::new(&mut chunk);
            let Poll::Ready(result) = Pin::new(&mut io).poll_read(cx, &mut read) else { break };
            let mut buffer = context.get_read_buf();
            buffer.extend_from_slice(read.filled());
            if read.filled().is_empty() {
                context.stop(None);
            }
            if context.update_read_status(buffer, result.map(|()| read.filled().len())) != IoTaskStatus::Io {
                break;
            }
        }
        match context.poll_write_ready(cx) {
            Poll::Ready(Readiness::Ready) => match write(&mut io, &context, cx) {
                IoTaskStatus::Stop => Poll::Ready(()),
                IoTaskStatus::Io | IoTaskStatus::Pause => Poll::Pending,
            },
            Poll::Ready(Readiness::Shutdown | Readiness::Terminate) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    // What ntex has not written yet, `close_notify` over TLS.
    poll_fn(|cx| match write(&mut io, &context, cx) {
        IoTaskStatus::Io => Poll::Pending,
        IoTaskStatus::Pause | IoTaskStatus::Stop => Poll::Ready(()),
    })
    .await;
    context.stop(None);
    // A failure is the connection's, and the close reports it.
    let _ = io.shutdown().await;
}

/// Writes what ntex has buffered, as far as the connection takes it.
fn write(io: &mut LingerIo<TcpStream>, context: &IoContext, cx: &mut Context<'_>) -> IoTaskStatus {
    let written = context.with_write_buf(|pages| {
        let mut written = false;
        while let Some(mut page) = pages.take() {
            match Pin::new(&mut *io).poll_write(cx, &page) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(bytes)) => {
                    written = true;
                    page.advance_to(bytes);
                    if !page.is_empty() {
                        pages.prepend(page);
                    }
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    pages.prepend(page);
                    break;
                }
            }
        }
        Ok(written)
    });
    context.update_write_status(written)
}
