//! Clients that have an upload under way at the signal.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

use super::http1::{Http1, drain, head, outcome};
use super::{Case, Ready, Scene, Unready};
use crate::model::restart::Fate;

/// Uploads slowly until shortly after the signal, then sends the rest.
pub(super) async fn run(scene: &Scene, case: &mut Case, ready: Ready) {
    let (plan, options) = (&scene.plan, &scene.options);
    let path = plan.upload_path.as_ref().unwrap_or(&scene.target.path);
    let request = head(&scene.target, options, &options.method, path, Some(plan.upload_bytes));
    let http = match Http1::open(&scene.target).await {
        Ok(http) => http,
        Err(error) => return drop(ready.send(Err(Unready::Failed(error.to_string())))),
    };
    let (mut reader, mut writer, seen) = http.split();
    case.seen = seen.clone();
    let mut ready = Some(ready);
    let answered = {
        let writing = async {
            // If a write fails, what can be read explains it.
            let _ = write(scene, &mut writer, &request, &mut case.client.sent_bytes, &mut ready).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            outcome = outcome(&mut reader, &seen) => outcome,
            () = writing => unreachable!("it never completes"),
        }
    };
    case.client.status = answered.status;
    case.client.fate = answered.fate;
    if scene.watch.begun().is_none() {
        let why = match answered.status {
            Some(status) => format!("it answers {status} before it has the body: --method and --upload-path"),
            None => "it ends the connection before it has the body: --method and --upload-path".to_owned(),
        };
        match ready.take() {
            Some(ready) => drop(ready.send(Err(Unready::NotApplicable(why)))),
            None => case.skipped = Some(why),
        }
        return;
    }
    if answered.fate == Fate::Answered && case.client.sent_bytes == plan.upload_bytes {
        drain(&mut reader).await;
    }
    let _ = writer.shutdown().await;
}

async fn write(
    scene: &Scene,
    writer: &mut (impl AsyncWrite + Unpin),
    request: &[u8],
    sent_bytes: &mut u64,
    ready: &mut Option<Ready>,
) -> io::Result<()> {
    let body = vec![b'.'; CHUNK_BYTES];
    writer.write_all(request).await?;
    writer.flush().await?;
    loop {
        let left = scene.plan.upload_bytes - *sent_bytes;
        let slow = !scene.watch.is_done_since(GO_ON);
        // The last byte is held back until then.
        let chunk = if slow { left.saturating_sub(1).min(SLOW_BYTES) } else { left };
        let chunk = usize::try_from(chunk).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        if left == 0 {
            return Ok(());
        }
        writer.write_all(&body[..chunk]).await?;
        writer.flush().await?;
        *sent_bytes += chunk as u64;
        if *sent_bytes >= READ_BYTES
            && let Some(ready) = ready.take()
        {
            let _ = ready.send(Ok(()));
        }
        if slow {
            sleep(PACE).await;
        }
    }
}

/// The size of a write while the upload is slow.
const SLOW_BYTES: u64 = 1 << 10;
const CHUNK_BYTES: usize = 16 << 10;
/// The pause between two writes.
const PACE: Duration = Duration::from_millis(20);
/// A server that has not answered after this many bytes is taken to read the body.
const READ_BYTES: u64 = 8 << 10;
/// How long after the signal the rest is sent.
const GO_ON: Duration = Duration::from_millis(500);
