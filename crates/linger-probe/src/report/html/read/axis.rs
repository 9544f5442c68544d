//! An axis of times of the day, and how times of a trace are written.

use std::time::Duration;

use crate::read::model::At;

/// The distances between two marks that are easy to read, in milliseconds: parts of a second, seconds,
/// minutes, hours, days.
const STEPS: [u64; 30] = [
    1,
    2,
    5,
    10,
    20,
    50,
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    15_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    900_000,
    1_800_000,
    3_600_000,
    7_200_000,
    10_800_000,
    21_600_000,
    43_200_000,
    86_400_000,
    172_800_000,
    604_800_000,
    2_592_000_000,
];

/// The most marks of an axis: their labels do not touch each other on a telephone.
const MARKS: u128 = 4;

/// A mark on the axis.
pub(super) struct Mark {
    /// Its place, in percent of the axis.
    pub(super) place: f64,
    /// The time of the day, or the date.
    pub(super) label: String,
}

/// Marks at round times between two times since 1970, in UTC.
pub(super) fn marks(from: Duration, to: Duration) -> Vec<Mark> {
    let whole = to.saturating_sub(from);
    if whole.is_zero() {
        return vec![Mark { place: 0.0, label: time_of_day(from, 3) }];
    }
    let fits = |step: &u128| whole.as_millis() / step < MARKS;
    // Longer than any capture is, but a damaged file may have any times.
    let step = STEPS.into_iter().map(u128::from).find(fits).unwrap_or(whole.as_millis() / MARKS + 1);
    let first = from.as_millis().div_ceil(step) * step;
    let times = std::iter::successors(Some(first), |at| at.checked_add(step));
    let decimals = if step < 1000 { 3 } else { 0 };
    times
        .take_while(|at| *at <= to.as_millis())
        .map(|at| {
            let at = Duration::from_millis(u64::try_from(at).unwrap_or(u64::MAX));
            let label = if step < 86_400_000 { time_of_day(at, decimals) } else { date(at) };
            Mark { place: place(at, from, whole), label }
        })
        .collect()
}

/// Where a time is between `from` and the time that is `whole` later, in percent.
pub(super) fn place(at: Duration, from: Duration, whole: Duration) -> f64 {
    if whole.is_zero() {
        return 0.0;
    }
    at.saturating_sub(from).as_secs_f64() / whole.as_secs_f64() * 100.0
}

/// `2026-11-26 16:04:10.123`, in UTC.
pub(super) fn utc(at: Duration) -> String {
    format!("{} {}", date(at), time_of_day(at, 3))
}

/// `2026-11-26`, in UTC.
pub(super) fn date(at: Duration) -> String {
    written(at)[..DATE].to_owned()
}

/// `16:04:10.123`, in UTC, with so many decimals, at most six.
pub(super) fn time_of_day(at: Duration, decimals: usize) -> String {
    const WHOLE: usize = "2026-11-26T16:04:10".len();
    let end = if decimals == 0 { WHOLE } else { WHOLE + 1 + decimals.min(6) };
    written(at)[DATE + 1..end].to_owned()
}

const DATE: usize = "2026-11-26".len();

/// `2026-11-26T16:04:10.123456Z`: ASCII, and always of this length.
fn written(at: Duration) -> String {
    At(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-26 16:04:10 UTC.
    const AT: Duration = Duration::from_secs(1_795_709_050);

    #[test]
    fn marks_are_few_round_and_within_the_axis() {
        for (millis, labels) in [
            (0, vec!["16:04:10.000"]),
            (3, vec!["16:04:10.000", "16:04:10.001", "16:04:10.002", "16:04:10.003"]),
            (2_400, vec!["16:04:10", "16:04:11", "16:04:12"]),
            (600_000, vec!["16:05:00", "16:10:00"]),
            (3 * 86_400_000, vec!["2026-11-27", "2026-11-28", "2026-11-29"]),
        ] {
            let marks = marks(AT, AT + Duration::from_millis(millis));
            let found: Vec<&str> = marks.iter().map(|mark| mark.label.as_str()).collect();
            assert_eq!(found, labels, "{millis} ms");
            assert!(marks.iter().all(|mark| (0.0..=100.0).contains(&mark.place)), "{millis} ms");
        }
    }

    #[test]
    fn any_time_can_be_written() {
        assert_eq!(utc(AT + Duration::from_micros(123_456)), "2026-11-26 16:04:10.123");
        assert_eq!(utc(Duration::MAX), "9999-12-31 23:59:59.000");
        assert!(marks(Duration::ZERO, Duration::MAX).len() <= 6);
        assert!(marks(AT, Duration::ZERO).len() == 1);
    }
}
