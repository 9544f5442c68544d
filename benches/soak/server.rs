//! The server: `tower_linger::serve`, plain and with TLS, in a process of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tower_linger::{ClosePolicy, LingerLayer};
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::server::BoxError;

/// More than the buffers of two sockets hold.
const LARGE_BYTES: usize = 1 << 20;

/// Short bounds, so that many connections reach them.
fn policy() -> ClosePolicy {
    let policy = ClosePolicy::builder().drain_idle_timeout(Duration::from_millis(200));
    policy.drain_limit(Duration::from_secs(1)).build().expect("makes sense")
}

/// Prints the plain address, and then a line about itself for each line that it reads.
pub(crate) async fn serve() {
    let plain = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let tls = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let tls_port = tls.local_addr().expect("bound").port();
    println!("{}", plain.local_addr().expect("bound"));
    let reports = Arc::new(AtomicU64::new(0));
    let counted = reports.clone();
    let linger = LingerLayer::new(policy()).on_close(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let tracker = linger.tracker().clone();
    let config = Certs::make().server(&Version::ALL, ClientAuth::None);
    tokio::spawn(tower_linger::serve(plain, app()).linger(linger.clone()).into_future());
    tokio::spawn(tower_linger::serve(tls, app()).linger(linger).tls(config).into_future());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while lines.next_line().await.expect("a pipe").is_some() {
        let (served, closing, summary) = (tracker.served(), tracker.closing(), tracker.summary());
        let (tasks, ended) = (Handle::current().metrics().num_alive_tasks(), summary.total());
        let reports = reports.load(Ordering::SeqCst);
        println!("{tls_port} {served} {closing} {ended} {reports} {tasks} {summary}");
    }
}

fn app() -> Router {
    let large = vec![b'.'; LARGE_BYTES];
    Router::new()
        .route("/", get(async || "hello\n").put(async || (StatusCode::PAYLOAD_TOO_LARGE, "too large\n")))
        .route("/large", get(async move || large.clone()))
        .route("/fails", get(fails))
        .route("/upgrade", get(upgrade))
}

async fn fails() -> Body {
    let failed =
        tokio_stream::iter([Ok("the beginning"), Err::<_, BoxError>("the source has failed".into())]);
    Body::from_stream(failed)
}

/// Echoes.
async fn upgrade(request: Request) -> Response {
    tokio::spawn(async move {
        let mut io = TokioIo::new(hyper::upgrade::on(request).await?);
        let mut message = [0; 64];
        loop {
            match io.read(&mut message).await? {
                0 => return Ok::<_, BoxError>(()),
                read => io.write_all(&message[..read]).await?,
            }
            io.flush().await?;
        }
    });
    (StatusCode::SWITCHING_PROTOCOLS, [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")])
        .into_response()
}
