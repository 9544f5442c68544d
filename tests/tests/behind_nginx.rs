//! Cut responses behind a real nginx. By default nginx speaks HTTP/1.0 to its upstreams, where the body
//! ends with the connection, so after a FIN nginx forwards a part as if it were the whole.
//!
//! Run it by `make foreign`: it needs curl and nginx, which `make needs` installs on Debian.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use tokio::process::Command;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio_stream::StreamExt as _;
use tower_linger::axum::LingerListener;
use tower_linger::{LingerLayer, RequestLayer};
use tower_linger_tests::nginx::Nginx;
use tower_linger_tests::server::{listen, serve};

const HALF: &str = "half of it";
const TRIES: usize = 10;

/// curl's exit code for a transfer that ended early.
const PARTIAL_FILE: i32 = 18;

/// The server behind nginx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upstream {
    Bare,
    Layered,
    /// With the layer and `RequestLayer`.
    Watched,
}

const ALL: [Upstream; 3] = [Upstream::Bare, Upstream::Layered, Upstream::Watched];

impl Upstream {
    /// How curl ends. Without the layer it takes the part for the whole.
    fn exit_code(self) -> i32 {
        if self == Self::Bare { 0 } else { PARTIAL_FILE }
    }

    /// Serves in this runtime, whose end stands for the end of the server's process. Returns its address.
    async fn start(self, runtime: &Runtime, linger: LingerLayer, app: Router) -> std::net::SocketAddr {
        let serving = async move {
            let listener = listen().await;
            match self {
                Self::Bare => serve(listener, app),
                Self::Layered => serve(LingerListener::new(listener, linger), app),
                Self::Watched => serve(LingerListener::new(listener, linger), app.layer(RequestLayer)),
            }
        };
        let running = runtime.spawn(serving).await.expect("no panic");
        let address = running.address;
        runtime.spawn(async move {
            std::future::pending::<()>().await;
            drop(running);
        });
        address
    }
}

/// `/fails` sends a half and fails. `/waits` sends it, tells the test, and waits. Each yields after the half,
/// because hyper sends what it has when a body is pending.
fn app(is_sent: Arc<Notify>) -> Router {
    let fails = get(async || {
        let parts = [Ok(HALF), Err(io::Error::other("on purpose"))];
        Body::from_stream(tokio_stream::iter(parts).then(async |part| {
            tokio::task::yield_now().await;
            part
        }))
    });
    let waits = get(async move || {
        Body::from_stream(tokio_stream::iter([true, false]).then(move |is_first| {
            let is_sent = is_sent.clone();
            async move {
                if !is_first {
                    tokio::task::yield_now().await;
                    is_sent.notify_one();
                    std::future::pending::<()>().await;
                }
                Ok::<_, io::Error>(HALF)
            }
        }))
    });
    Router::new().route("/fails", fails).route("/waits", waits)
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

async fn nginx(upstream: std::net::SocketAddr) -> Nginx {
    let server = format!(
        "server {{ listen unix:{{folder}}/front; location / {{ proxy_pass http://{upstream}; \
         proxy_next_upstream off; }} location /as-it-comes/ {{ proxy_pass http://{upstream}/; \
         proxy_next_upstream off; proxy_buffering off; }} }}\n"
    );
    let mut nginx = Nginx::start(&server, &[]);
    nginx.listens_on("front").await;
    nginx
}

/// curl's exit code, and what it got.
async fn curl(nginx: &Nginx, path: &str) -> (Option<i32>, String) {
    let url = format!("http://localhost{path}");
    let curl = Command::new("curl")
        .args(["-sS", "-m", "60", "--unix-socket"])
        .arg(nginx.file("front"))
        .arg(url)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(90), curl).await.expect("it ends");
    let output = output.unwrap_or_else(|error| panic!("no curl ({error}): `make needs` installs it"));
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_body_behind_nginx_is_no_success() {
    for upstream in ALL {
        let runtime = runtime();
        let address = upstream.start(&runtime, LingerLayer::default(), app(Arc::default())).await;
        let nginx = nginx(address).await;
        for _ in 0..TRIES {
            // nginx may drop what is in its buffers when its upstream fails; without buffering the half
            // arrives.
            assert_eq!(curl(&nginx, "/fails").await.0, Some(upstream.exit_code()), "{upstream:?}");
            let expected = (Some(upstream.exit_code()), HALF.to_owned());
            assert_eq!(curl(&nginx, "/as-it-comes/fails").await, expected, "{upstream:?}");
        }
        runtime.shutdown_background();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_cut_at_the_deadline_behind_nginx_is_no_success() {
    for upstream in ALL {
        let runtime = runtime();
        let linger = LingerLayer::default();
        let is_sent = Arc::new(Notify::new());
        let address = upstream.start(&runtime, linger.clone(), app(is_sent.clone())).await;
        let nginx = nginx(address).await;
        let deadline = async {
            is_sent.notified().await;
            // Without the layer the deadline is the process's end.
            if upstream != Upstream::Bare {
                linger.tracker().shutdown(Duration::ZERO).await;
            }
            runtime.shutdown_background();
        };
        let (seen, ()) = tokio::join!(curl(&nginx, "/as-it-comes/waits"), deadline);
        assert_eq!(seen, (Some(upstream.exit_code()), HALF.to_owned()), "{upstream:?}");
    }
}
