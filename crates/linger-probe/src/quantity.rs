//! Sizes and times in words.

use std::time::Duration;

/// A size, such as `512 B`, `1.5 KiB` or `64 KiB`: rounded down, with at most one decimal.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.into_iter().find(|&(_, unit)| bytes >= unit) {
        None => format!("{bytes} B"),
        Some((name, unit)) => match (bytes / unit, bytes % unit * 10 / unit) {
            (whole, 0) => format!("{whole} {name}"),
            (whole, tenths) => format!("{whole}.{tenths} {name}"),
        },
    }
}

/// A time in milliseconds, with more decimals for shorter times: `0.41 ms`, `12.3 ms`, `150 ms`.
#[cfg(feature = "report")]
pub(crate) fn milliseconds(time: Duration) -> String {
    let value = time.as_secs_f64() * 1e3;
    match value {
        ..10.0 => format!("{value:.2} ms"),
        ..100.0 => format!("{value:.1} ms"),
        _ => format!("{value:.0} ms"),
    }
}

/// A time of any length, in the unit that fits: `412 µs`, `150 ms`, `2.5 s`, `60 s`, `12 min`, `3.5 h`.
/// Rounded down.
pub(crate) fn span(time: Duration) -> String {
    // The name of a unit, how long it is, and from when on it is used.
    const UNITS: [(&str, u128, u128); 6] = [
        ("d", 86_400_000_000, 2 * 86_400_000_000),
        ("h", 3_600_000_000, 2 * 3_600_000_000),
        ("min", 60_000_000, 120_000_000),
        ("s", 1_000_000, 1_000_000),
        ("ms", 1000, 1000),
        ("µs", 1, 0),
    ];
    let micros = time.as_micros();
    let (name, unit, _) = UNITS.into_iter().find(|&(_, _, from)| micros >= from).unwrap_or(UNITS[5]);
    match (micros / unit, micros % unit * 10 / unit) {
        (whole, tenths) if whole < 10 && tenths > 0 => format!("{whole}.{tenths} {name}"),
        (whole, _) => format!("{whole} {name}"),
    }
}

/// A number with its digits in groups of three: `12 430`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push('\u{a0}');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number of things: `1 byte`, `12 430 bytes`.
pub(crate) fn counted(number: u64, one: &str, several: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_never_rounded_up() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (2047, "1.9 KiB"),
            (64 << 10, "64 KiB"),
            (8 << 20, "8 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    #[cfg(feature = "report")]
    fn times_keep_the_decimals_that_matter() {
        let cases = [(412, "0.41 ms"), (12_345, "12.3 ms"), (1_203_400, "1203 ms")];
        for (micros, expected) in cases {
            assert_eq!(milliseconds(Duration::from_micros(micros)), expected);
        }
    }

    #[test]
    fn spans_have_the_unit_that_fits() {
        let cases = [
            (0, "0 µs"),
            (412, "412 µs"),
            (150_999, "150 ms"),
            (2_500_000, "2.5 s"),
            (60_000_000, "60 s"),
            (119_999_999, "119 s"),
            (720_000_000, "12 min"),
            (12_600_000_000, "3.5 h"),
            (864_000_000_000, "10 d"),
        ];
        for (micros, expected) in cases {
            assert_eq!(span(Duration::from_micros(micros)), expected);
        }
        assert!(span(Duration::MAX).ends_with(" d"));
    }

    #[test]
    fn digits_are_grouped() {
        let cases = [(0, "0"), (999, "999"), (1000, "1\u{a0}000"), (12_430, "12\u{a0}430")];
        for (number, expected) in cases {
            assert_eq!(grouped(number), expected);
        }
        assert_eq!(counted(1, "byte", "bytes"), "1 byte");
        assert_eq!(grouped(u64::MAX).matches('\u{a0}').count(), 6);
    }
}
