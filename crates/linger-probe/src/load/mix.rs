//! Which kinds of requests a load sends, and in what order.

use std::str::FromStr;

/// A kind of request. Exhaustive: a new variant is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A GET of the target's path.
    Get,
    /// An upload that the server refuses before it has read it. The client sends all of it before it reads,
    /// and gives up at a failed write, as many client libraries do.
    Early413,
    /// A GET of the path with the large response.
    Large,
}

impl Kind {
    /// All kinds, in the report's order.
    pub const ALL: [Self; 3] = [Self::Get, Self::Early413, Self::Large];

    /// The name in a mix.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Early413 => "early413",
            Self::Large => "large",
        }
    }
}

/// Kinds of requests by weight, in an order that spreads each kind evenly. The order is fixed: the `n`th
/// request of every run is of the same kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    order: Vec<Kind>,
}

impl Mix {
    /// The kind of the request of this number. Numbers begin at 0.
    #[must_use]
    pub fn kind(&self, number: u64) -> Kind {
        // The remainder is less than a `usize`, so it fits.
        self.order[usize::try_from(number % self.order.len() as u64).unwrap_or_default()]
    }

    /// Whether the mix has requests of this kind.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.order.contains(&kind)
    }
}

impl FromStr for Mix {
    type Err = String;

    /// `get=90,early413=10`: weights, each at most 1000. A name alone weighs 1.
    fn from_str(text: &str) -> Result<Self, String> {
        const WRONG: &str = "kinds with weights from 1 to 1000, such as get=90,early413=10; \
            the kinds are get, early413, large";
        let mut weights = [0_i64; Kind::ALL.len()];
        for part in text.split(',') {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let kind = Kind::ALL.iter().position(|kind| kind.name() == name.trim()).ok_or(WRONG)?;
            let weight = weight.trim().parse::<i64>().ok().filter(|weight| (1..=1000).contains(weight));
            if weights[kind] != 0 {
                return Err(format!("{name} is given twice"));
            }
            weights[kind] = weight.ok_or(WRONG)?;
        }
        let sum: i64 = weights.iter().sum();
        // The next request is of the kind that is furthest behind its share.
        let (mut due, mut order) = ([0; Kind::ALL.len()], Vec::new());
        for _ in 0..sum {
            for (due, weight) in due.iter_mut().zip(weights) {
                *due += weight;
            }
            let next = (0..due.len()).max_by_key(|&index| (due[index], std::cmp::Reverse(index)));
            let next = next.unwrap_or_default();
            due[next] -= sum;
            order.push(Kind::ALL[next]);
        }
        Ok(Self { order })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_share_and_is_spread_evenly() {
        let mix: Mix = "get=90,early413=10".parse().expect("a mix");
        let early: Vec<u64> = (0..200).filter(|&number| mix.kind(number) == Kind::Early413).collect();
        assert_eq!(early.len(), 20);
        assert!(early.windows(2).all(|pair| pair[1] - pair[0] == 10), "{early:?}");
        assert_eq!("large".parse::<Mix>().expect("a mix").kind(7), Kind::Large);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in ["", "get=0", "get=-1", "get=1001", "put=5", "get=1,get=2", "get,,large"] {
            assert!(text.parse::<Mix>().is_err(), "{text}");
        }
    }
}
