//! Which closes get a span of their own when there are many (feature `tracing`).

use std::sync::OnceLock;
use std::time::Instant;

use crate::sync::atomic::{AtomicU64, Ordering};

/// Most spans of one layer in a second.
///
/// OpenTelemetry's batch processor exports up to 512 spans every five seconds by default
/// (`OTEL_BSP_MAX_EXPORT_BATCH_SIZE`, `OTEL_BSP_SCHEDULE_DELAY`) and drops what its queue of 2048 cannot
/// take. 100 a second are 500 in that time: a flood of closes fills one batch, and leaves the queue to the
/// program's other spans.
const SPANS_PER_SECOND: u64 = 100;

/// Bounds the spans of a layer in each second, counted from its first close. Takes no lock.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    began: OnceLock<Instant>,
    /// The second that is counted, in the upper half, and how many spans it has had, in the lower half.
    window: AtomicU64,
    left_out: AtomicU64,
}

impl Sampler {
    /// Whether there may be one more span now. If so, returns how many closes have had none since the last
    /// one.
    pub(crate) fn take(&self, now: Instant) -> Option<u64> {
        let began = *self.began.get_or_init(|| now);
        let second = now.saturating_duration_since(began).as_secs();
        let taken = self.window.fetch_update(Ordering::AcqRel, Ordering::Acquire, |window| {
            let (counted, spans) = (window >> 32, window & u64::from(u32::MAX));
            if counted < second {
                Some(second << 32 | 1)
            } else {
                // Another thread may have come to the next second already; then this one counts there.
                (spans < SPANS_PER_SECOND).then_some(window + 1)
            }
        });
        if taken.is_ok() {
            Some(self.left_out.swap(0, Ordering::AcqRel))
        } else {
            self.left_out.fetch_add(1, Ordering::AcqRel);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_second_has_so_many_spans_and_what_is_left_out_is_told_once() {
        let (sampler, start) = (Sampler::default(), crate::clock::now());
        for second in 0..3 {
            let at = start + Duration::from_millis(second * 1000 + 999);
            let taken: Vec<u64> = (0..1000).filter_map(|_| sampler.take(at)).collect();
            assert_eq!(taken.len() as u64, SPANS_PER_SECOND);
            assert_eq!(taken[0], if second == 0 { 0 } else { 1000 - SPANS_PER_SECOND });
            assert_eq!(taken[1..].iter().sum::<u64>(), 0);
        }
        // A clock that is behind takes from the newest second.
        assert_eq!(sampler.take(start), None);
    }

    #[test]
    fn threads_together_have_so_many_spans() {
        const THREADS: u64 = 8;
        const TRIES: u64 = 1000;
        let (sampler, now) = (Sampler::default(), crate::clock::now());
        let begin = Barrier::new(usize::try_from(THREADS).expect("few"));
        let take = || {
            begin.wait();
            (0..TRIES)
                .filter_map(|_| sampler.take(now))
                .map(|left_out| (1, left_out))
                .fold((0, 0), |(spans, told), (one, left_out)| (spans + one, told + left_out))
        };
        let (spans, told) = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(take)).collect();
            let counts = threads.into_iter().map(|thread| thread.join().expect("no panic"));
            counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
        });
        assert_eq!(spans, SPANS_PER_SECOND);
        let later = sampler.take(now + Duration::from_secs(1)).expect("another second");
        assert_eq!(told + later, THREADS * TRIES - SPANS_PER_SECOND, "every close is in a span or counted");
    }
}
