//! Issues the requests of an open loop when they are due. It is a thread, because a runtime's timers have a
//! resolution of one millisecond.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{Shared, as_f64};

/// Runs until it is dropped or the time is up.
#[derive(Debug)]
pub(super) struct Pacer(Arc<AtomicBool>);

impl Pacer {
    pub(super) fn start(shared: &Arc<Shared>, rate: f64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (shared.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut issued = 0_u64;
            while !stopped.load(Ordering::Relaxed) && Instant::now() < shared.end {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a count of requests"
                )]
                let due = (shared.begun.elapsed().as_secs_f64() * rate) as u64 + 1;
                let more = due.saturating_sub(issued);
                shared.issued.fetch_add(more, Ordering::Relaxed);
                shared.due.add_permits(usize::try_from(more).unwrap_or_default());
                issued = issued.max(due);
                let next = shared.begun + Duration::from_secs_f64(as_f64(issued) / rate);
                std::thread::sleep(next.saturating_duration_since(Instant::now()).min(PAUSE));
            }
        });
        Self(stop)
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The longest sleep, so that the thread notices soon that it has to stop.
const PAUSE: Duration = Duration::from_millis(100);
