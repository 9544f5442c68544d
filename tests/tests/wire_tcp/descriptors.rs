//! A process that runs out of descriptors.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};
use tower_linger::axum::LingerListener;
use tower_linger::{ClosePolicy, LingerLayer, Outcome, Tracker};
use tower_linger_tests::peer::head;
use tower_linger_tests::server::serve;
use tower_linger_tests::until::until;

use super::common::{MESSAGE, UPLOAD_BYTES, app, last_request};

const DESCRIPTORS: u32 = 100;
const UPLOADERS: usize = 300;

/// Longer than any test, so that no close ends by itself.
const HOUR: Duration = Duration::from_secs(3600);

/// Clients that wait to be accepted: some that stop in the middle of a refused upload, and behind them one
/// that sends a `GET`. Their descriptors have numbers above the limit, which leaves those below it to the
/// server.
struct Queue {
    listener: TcpListener,
    uploaders: Vec<TcpStream>,
    last: TcpStream,
}

impl Queue {
    fn new() -> Self {
        // The limit applies to the numbers of new descriptors, so these files take the numbers below it
        // meanwhile.
        let numbers: Vec<_> =
            (0..DESCRIPTORS).map(|_| File::open("/dev/null").expect("there are some")).collect();
        let socket = TcpSocket::new_v4().expect("there are descriptors left");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("there is a free port");
        let listener = socket.listen(1024).expect("nothing else listens there");
        let address = listener.local_addr().expect("bound");
        let uploaders = (0..UPLOADERS).map(|_| client(address, &head("PUT", "/413", UPLOAD_BYTES)));
        let uploaders = uploaders.collect();
        let last = client(address, &last_request("/small"));
        drop(numbers);
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
        setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS.into(), hard).expect("may be lowered");
        Self { listener, uploaders, last }
    }
}

fn client(server: SocketAddr, request: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(server).expect("the queue has room");
    client.write_all(request).expect("writes");
    client
}

fn linger(tracker: Tracker) -> LingerLayer {
    let policy = ClosePolicy::builder().drain_limit(HOUR).drain_idle_timeout(HOUR).build();
    LingerLayer::new(policy.expect("makes sense")).with_tracker(tracker)
}

/// Waits for the answer to the `GET`.
async fn assert_answered(mut client: TcpStream) {
    let reading = tokio::task::spawn_blocking(move || {
        let mut answer = String::new();
        client.read_to_string(&mut answer).map(|_| answer)
    });
    let answer = tokio::time::timeout(Duration::from_secs(60), reading).await.expect("it is accepted");
    let answer = answer.expect("no panic").expect("reads");
    assert!(answer.ends_with(MESSAGE), "{answer}");
}

/// CONFORMANCE 49: lingering connections leave half of the descriptors to new ones.
pub(crate) async fn by_default_lingerers_leave_descriptors_to_accept_with() {
    let Queue { listener, uploaders, last } = Queue::new();
    let linger = linger(Tracker::new());
    let _server = serve(LingerListener::new(listener, linger.clone()), app());
    // No close ends by itself, so the limit is what evicts the oldest.
    assert_answered(last).await;
    let tracker = linger.tracker();
    let evicted = || tracker.summary().count(Outcome::Evicted);
    assert!(evicted() >= UPLOADERS as u64 - u64::from(DESCRIPTORS), "{}", tracker.summary());
    until("half of the descriptors linger", || {
        tracker.served() == 0
            && tracker.closing() <= 50
            && evicted() >= UPLOADERS as u64 - u64::from(DESCRIPTORS) / 2
    })
    .await;
    drop(uploaders);
}

/// The counterpart, which shows what the limit is for.
pub(crate) async fn without_a_limit_nobody_is_accepted_until_a_lingerer_ends() {
    let Queue { listener, uploaders, last } = Queue::new();
    let linger = linger(Tracker::unlimited());
    let _server = serve(LingerListener::new(listener, linger.clone()), app());
    until("lingering connections have all descriptors", || {
        linger.tracker().served() == 0 && File::open("/dev/null").is_err()
    })
    .await;
    last.set_nonblocking(true).expect("a socket");
    let error = (&last).read(&mut [0; 1]).expect_err("nobody has accepted it");
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    last.set_nonblocking(false).expect("a socket");
    assert_eq!(linger.tracker().summary().total(), 0);
    drop(uploaders);
    assert_answered(last).await;
}
