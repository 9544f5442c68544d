//! Every bound of a close, on a paused clock: the times are exact, and the tests take none.

mod drain;
mod flood;
mod flush;
#[cfg(target_os = "linux")]
#[path = "../shared/queues.rs"]
mod queues;
mod tracker;

use std::time::Duration;

use tokio::time::Instant;
use tower_linger::CloseReport;

const SECOND: Duration = Duration::from_secs(1);

/// The report, and how long the close took on the paused clock.
async fn timed(closing: impl Future<Output = CloseReport>) -> (CloseReport, Duration) {
    let began = Instant::now();
    (closing.await, began.elapsed())
}
