//! Which statuses each kind of request expects.

use std::ops::RangeInclusive;
use std::str::FromStr;

use super::mix::Kind;

/// A set of statuses, in the syntax of `--allow-status`: `404`, `5xx` and `500-504`, separated by commas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statuses(Vec<RangeInclusive<u16>>);

impl Statuses {
    /// Whether the set contains this status.
    #[must_use]
    pub fn has(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl Kind {
    /// Whether a request of this kind expects this status: 4xx for an upload that is to be refused, 2xx or
    /// 3xx for the other kinds.
    #[must_use]
    pub fn expects(self, status: u16) -> bool {
        match self {
            Self::Get | Self::Large => (200..400).contains(&status),
            Self::Early413 => (400..500).contains(&status),
        }
    }
}

impl FromStr for Statuses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ranges: Option<Vec<_>> = text.split(',').map(|part| range(part.trim())).collect();
        ranges.map(Self).ok_or_else(|| {
            "statuses from 100 to 999, such as 404 or 404,5xx or 500-504, separated by commas".to_owned()
        })
    }
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let status = |text: &str| text.parse().ok().filter(|status| (100..1000).contains(status));
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (status(first)?, status(last)?);
        return (first <= last).then_some(first..=last);
    }
    match text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
        Some(hundreds) => {
            let first = status(&format!("{hundreds}00"))?;
            Some(first..=first + 99)
        }
        None => status(text).map(|status| status..=status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_single_ones_classes_and_ranges() {
        let statuses: Statuses = "404, 5xx,301-303".parse().expect("statuses");
        let among: Vec<u16> = (100..1000).filter(|&status| statuses.has(status)).collect();
        let expected: Vec<u16> = (301..=303).chain([404]).chain(500..=599).collect();
        assert_eq!(among, expected);
        assert!(!Statuses::default().has(200));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in
            ["", "abc", "99", "1000", "500-", "504-500", "0xx", "xx", "55xx", "404,,500", "-1", "200.5"]
        {
            assert!(text.parse::<Statuses>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_refused_upload_expects_another_status_than_the_rest() {
        let expects = |kind: Kind| [200, 302, 404, 500, 101].map(|status| kind.expects(status));
        assert_eq!(expects(Kind::Get), [true, true, false, false, false]);
        assert_eq!(expects(Kind::Large), expects(Kind::Get));
        assert_eq!(expects(Kind::Early413), [false, false, true, false, false]);
    }
}
