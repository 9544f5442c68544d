//! A server is ended, or restarted, under a light load of each kind: what does each kind of client lose?

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use self::newcomers::Watcher;
use self::stage::{Clock, Watch};
use self::stream::Seen;
use crate::model::restart::{Client, Ending, Fate, Kind, KindReport, RestartReport};
use crate::target::{Options, Target};

mod http1;
mod http2;
mod idle;
mod in_flight;
mod newcomers;
mod stage;
mod stream;
mod upload;
mod websocket;

/// How a server is ended, and what is under way then.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Clients of each kind.
    pub clients: u32,
    /// A path whose response takes some time. None: the target's path.
    pub slow_path: Option<String>,
    /// Where uploads go. None: the target's path.
    pub upload_path: Option<String>,
    /// Size of each upload. It takes longer than the server has before the signal.
    pub upload_bytes: u64,
    /// A path that accepts a WebSocket. None: there are no such clients.
    pub websocket_path: Option<String>,
    /// For the end of all connections, after the signal.
    pub timeout: Duration,
    /// For a new server that answers, after that.
    pub settle: Duration,
    /// What ends the server, in a few words.
    pub ended_by: String,
}

/// Why a server was not ended, or what failed in it.
#[derive(Debug)]
pub struct RestartError(String);

impl fmt::Display for RestartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RestartError {}

/// Puts clients of each kind on the server, ends it by `end` when all of them are under way, and tells what
/// became of them. When `stop` completes after `end` was begun, the report tells what is known.
///
/// # Errors
/// A kind of client that was asked for cannot be set up, or `end` fails, or `stop` completes before `end` was
/// begun. Before `end` was begun, nothing is done to the server but asking it.
pub async fn restart(
    target: &Target,
    options: &Options,
    plan: &Plan,
    end: impl Future<Output = Result<(), String>>,
    stop: impl Future<Output = ()>,
    progress: impl Fn(&str),
) -> Result<RestartReport, RestartError> {
    tokio::pin!(stop);
    let clock = Clock::default();
    let scene = Arc::new(Scene {
        target: target.clone(),
        options: options.clone(),
        plan: plan.clone(),
        watch: clock.watch(),
    });
    let mut clients = JoinSet::new();
    let skipped = tokio::select! {
        ready = set_up(&scene, &mut clients) => ready?,
        () = &mut stop => return Err(RestartError("stopped before anything was ended".to_owned())),
    };
    progress("all clients are under way");
    clock.ready();
    sleep(LEAD).await;

    let watcher = Watcher::start(&scene);
    let begun = clock.begin();
    let ended = tokio::select! {
        ended = end => Some(ended),
        () = &mut stop => None,
    };
    clock.done();
    let (ending, mut interrupted) = (begun.elapsed(), ended.is_none());
    if let Some(Err(why)) = ended {
        return Err(RestartError(why));
    }
    progress(&format!("{}; waiting for the end of all connections", plan.ended_by));
    let deadline = Instant::now() + plan.timeout;
    let mut cases = Vec::new();
    if !interrupted {
        let joined =
            async { while timeout_at(deadline, take(&mut clients, &mut cases)).await == Ok(true) {} };
        tokio::select! {
            () = joined => {}
            () = &mut stop => interrupted = true,
        }
    }
    clock.over();
    while take(&mut clients, &mut cases).await {}
    if !interrupted {
        tokio::select! {
            () = watcher.settled(plan.settle) => {}
            () = &mut stop => interrupted = true,
        }
    }
    let mut report = RestartReport {
        name: target.name.clone(),
        url: target.url.clone(),
        ended_by: plan.ended_by.clone(),
        ending,
        kinds: Vec::new(),
        last_end: None,
        still_open: 0,
        newcomers: watcher.stop(),
        interrupted,
    };
    collect(&mut report, cases, &skipped, begun);
    Ok(report)
}

/// The next client that has ended, if there is one.
async fn take(clients: &mut JoinSet<Case>, cases: &mut Vec<Case>) -> bool {
    match clients.join_next().await {
        // A task that panics is a fault of this program, not of the server.
        Some(case) => cases.push(case.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))),
        None => return false,
    }
    true
}

fn collect(report: &mut RestartReport, mut cases: Vec<Case>, skipped: &[(Kind, String)], begun: Instant) {
    cases.sort_by_key(|case| case.number);
    for kind in KINDS {
        let (these, others): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| case.kind == kind);
        cases = others;
        let why = skipped.iter().find(|(skipped, _)| *skipped == kind).map(|(_, why)| why.clone());
        let why = why.or_else(|| these.iter().find_map(|case| case.skipped.clone()));
        if let Some(why) = why {
            report.kinds.push(KindReport::skipped(kind, why));
        } else if !these.is_empty() {
            let clients = these.into_iter().map(|case| case.told(begun, report.interrupted)).collect();
            report.kinds.push(KindReport::new(kind, clients));
        }
    }
    let clients = || report.kinds.iter().flat_map(|kind| &kind.clients);
    report.still_open = clients().filter(|client| client.ending == Ending::Open).count();
    report.last_end = clients().filter_map(|client| client.ended).max();
}

/// What every client needs to know.
struct Scene {
    target: Target,
    options: Options,
    plan: Plan,
    watch: Watch,
}

/// Why a client is not under way.
enum Unready {
    /// The server has nothing that this kind could be tried on.
    NotApplicable(String),
    /// What was asked for does not work.
    Failed(String),
}

/// Tells that a client is under way, or why not.
type Ready = oneshot::Sender<Result<(), Unready>>;

/// One client, while it runs.
struct Case {
    kind: Kind,
    number: u32,
    client: Client,
    seen: Seen,
    /// Why it could not be tried, found after it was under way.
    skipped: Option<String>,
}

impl Case {
    fn new(kind: Kind, number: u32) -> Self {
        let client = Client {
            fate: Fate::Unknown,
            status: None,
            sent_bytes: 0,
            ending: Ending::Open,
            ended: None,
            close_notify: None,
            goaway: None,
            close_frame: (kind == Kind::WebSocket).then_some(false),
            close_code: None,
        };
        Self { kind, number, client, seen: Seen::default(), skipped: None }
    }

    /// Until it has seen its end, or nobody waits any longer.
    async fn run(mut self, scene: Arc<Scene>, ready: Ready) -> Self {
        let over = scene.watch.until_over();
        let client = async {
            match self.kind {
                Kind::Idle => idle::idle(&scene, &mut self, ready).await,
                Kind::IdleRequest => idle::request(&scene, &mut self, ready).await,
                Kind::InFlight => in_flight::run(&scene, &mut self, ready).await,
                Kind::Upload => upload::run(&scene, &mut self, ready).await,
                Kind::WebSocket => websocket::run(&scene, &mut self, ready).await,
                Kind::Http2 => http2::run(&scene, &mut self, ready).await,
            }
        };
        tokio::select! {
            () = client => {}
            () = over => {}
        }
        self
    }

    /// The fate of one that has nothing under way, once its connection has ended.
    fn closed(&self) -> Fate {
        match self.seen.end() {
            Some(end) if end.ending == Ending::Reset => Fate::Reset,
            _ => Fate::Closed,
        }
    }

    /// What there is to tell of it.
    fn told(self, begun: Instant, interrupted: bool) -> Client {
        let mut client = self.client;
        if let Some(end) = self.seen.end() {
            client.ending = end.ending;
            client.ended = Some(end.at.saturating_duration_since(begun));
            client.close_notify = end.close_notify;
        }
        if client.fate == Fate::Unknown && !interrupted {
            client.fate = if self.kind.has_request() { Fate::Silent } else { Fate::Open };
        }
        client
    }
}

/// Starts all clients, and waits until they are under way. Returns the kinds that cannot be.
async fn set_up(
    scene: &Arc<Scene>,
    clients: &mut JoinSet<Case>,
) -> Result<Vec<(Kind, String)>, RestartError> {
    let mut waiting = Vec::new();
    for kind in KINDS {
        if kind == Kind::WebSocket && scene.plan.websocket_path.is_none() {
            continue;
        }
        for number in 0..scene.plan.clients {
            let (ready, when_ready) = oneshot::channel();
            clients.spawn(Case::new(kind, number).run(scene.clone(), ready));
            waiting.push((kind, when_ready));
        }
    }
    let deadline = Instant::now() + scene.options.timeout;
    let mut skipped: Vec<(Kind, String)> = Vec::new();
    for (kind, when_ready) in waiting {
        let failed = |why: &str| Err(RestartError(format!("{}: {}: {why}", scene.target.url, name(kind))));
        match timeout_at(deadline, when_ready).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(Unready::NotApplicable(why)))) => skipped.push((kind, why)),
            Ok(Ok(Err(Unready::Failed(why)))) => return failed(&why),
            Ok(Err(_)) => return failed("it ended before it was under way"),
            Err(_) => return failed("it is not under way in time: --timeout waits longer"),
        }
    }
    Ok(skipped)
}

/// What a kind is called where it fails.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Idle | Kind::IdleRequest => "an idle connection",
        Kind::InFlight => "a request in flight",
        Kind::Upload => "an upload",
        Kind::WebSocket => "a WebSocket",
        Kind::Http2 => "an HTTP/2 connection",
    }
}

/// In the order in which they are told.
const KINDS: [Kind; 6] =
    [Kind::Idle, Kind::IdleRequest, Kind::InFlight, Kind::Upload, Kind::WebSocket, Kind::Http2];

/// From the moment when all clients are under way to the signal, so that the server has what they sent. The
/// requests in flight are sent at its beginning.
const LEAD: Duration = Duration::from_millis(200);

/// A request that was sent this short a time before its connection's end may not have reached the server's
/// process: the end does not show that the server lost it.
const UNREAD: Duration = Duration::from_millis(20);

/// Waits at most as long as the options say for one answer.
async fn bounded<T>(scene: &Scene, answer: impl Future<Output = T>) -> Option<T> {
    timeout(scene.options.timeout, answer).await.ok()
}
