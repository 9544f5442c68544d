//! Ends or restarts a server under a light load of each kind of client, and finds what each kind loses.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use self::case::Case;
use self::newcomers::Watcher;
use self::stage::{Clock, Watch};
use crate::model::restart::{Ending, Kind, KindReport, RestartReport};
use crate::target::{Options, Target};

mod case;
mod http1;
mod http2;
mod idle;
mod in_flight;
mod newcomers;
mod stage;
mod stream;
mod upload;
mod websocket;

/// How a server is ended, and which clients it has then.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The number of clients of each kind.
    pub clients: u32,
    /// A path whose response takes some time. `None` is the target's path.
    pub slow_path: Option<String>,
    /// The path of uploads. `None` is the target's path.
    pub upload_path: Option<String>,
    /// The size of each upload. An upload is sent slowly enough to be under way at the signal.
    pub upload_bytes: u64,
    /// A path that accepts a WebSocket. With `None` there are no such clients.
    pub websocket_path: Option<String>,
    /// How long all connections may take to end after the signal.
    pub timeout: Duration,
    /// How long a new server may take to answer after that.
    pub settle: Duration,
    /// What ends the server, in a few words.
    pub ended_by: String,
}

/// Why a server was not ended, or why ending it failed.
#[derive(Debug)]
pub struct RestartError(String);

impl fmt::Display for RestartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RestartError {}

/// Connects clients of each kind to the server, ends it with `end` once all of them are under way, and
/// reports what became of them. If `stop` completes after `end` has begun, the report has what is known by
/// then.
///
/// # Errors
/// A kind of client that was asked for cannot be set up, `end` fails, or `stop` completes before `end`
/// begins. Before `end` begins, the server only gets requests.
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

/// Waits for the next client to end. Returns false if none is left.
async fn take(clients: &mut JoinSet<Case>, cases: &mut Vec<Case>) -> bool {
    match clients.join_next().await {
        // A panic is a bug in this program, and says nothing of the server.
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
    /// The server has nothing that this kind of client could use.
    NotApplicable(String),
    /// The user asked for it, and it does not work.
    Failed(String),
}

/// Reports that a client is under way, or why it is not.
type Ready = oneshot::Sender<Result<(), Unready>>;

/// Starts all clients, and waits until they are under way. Returns the kinds that do not apply, and why.
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

/// The name of a kind in an error.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Idle | Kind::IdleRequest => "an idle connection",
        Kind::InFlight => "a request in flight",
        Kind::Upload => "an upload",
        Kind::WebSocket => "a WebSocket",
        Kind::Http2 => "an HTTP/2 connection",
    }
}

/// All kinds, in the report's order.
const KINDS: [Kind; 6] =
    [Kind::Idle, Kind::IdleRequest, Kind::InFlight, Kind::Upload, Kind::WebSocket, Kind::Http2];

/// The time from when all clients are under way to the signal, so that the server receives what they sent.
/// The requests in flight are sent when it begins.
const LEAD: Duration = Duration::from_millis(200);

/// A request that was sent less than this before its connection ended may not have reached the server's
/// process, so the server is not blamed for it.
const UNREAD: Duration = Duration::from_millis(20);

/// Waits for one answer, for at most the options' timeout.
async fn bounded<T>(scene: &Scene, answer: impl Future<Output = T>) -> Option<T> {
    timeout(scene.options.timeout, answer).await.ok()
}
