//! How many closes may wait at once, and which goes when there is one too many: the oldest. Pure bookkeeping
//! under the tracker's lock.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;

use crate::tracker::entry_id::EntryId;
use crate::transport::descriptor_limit;

/// How many closes may wait at once: all together, and for one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) all: Option<NonZeroUsize>,
    pub(crate) per_peer: Option<NonZeroUsize>,
}

/// Which closes count against the limits, the oldest first. Empty where there is no limit.
///
/// Each operation takes constant time. A close costs a link of 8 bytes, and more only where peers are
/// counted.
pub(crate) struct Eviction {
    limits: Limits,
    all: Queue,
    /// By the index of the entry.
    links: Vec<Link>,
    /// How many links are in use, by those that count and by those that were evicted and are still there.
    used: usize,
    peers: Peers,
}

/// The same by peer.
#[derive(Default)]
struct Peers {
    queues: HashMap<IpAddr, Queue>,
    of_entry: HashMap<EntryId, IpAddr>,
    links: Vec<Link>,
}

/// A doubly linked list, whose links are kept apart.
#[derive(Clone, Copy)]
struct Queue {
    oldest: u32,
    newest: u32,
    len: usize,
}

/// The neighbours in a queue, by index, or one of the marks below.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Link {
    older: u32,
    newer: u32,
}

/// There is no neighbour on this side.
const END: u32 = u32::MAX;

impl Link {
    const UNUSED: Self = Self { older: END - 1, newer: END - 1 };
    const EVICTED: Self = Self { older: END - 2, newer: END - 2 };
}

impl Limits {
    pub(crate) const NONE: Self = Self { all: None, per_peer: None };
}

impl Default for Limits {
    /// At most half of the descriptors that the process may have, so that lingering never keeps it from
    /// accepting.
    fn default() -> Self {
        Self { all: descriptor_limit().map(half), per_peer: None }
    }
}

fn half(descriptors: u64) -> NonZeroUsize {
    let half = usize::try_from(descriptors / 2).unwrap_or(usize::MAX);
    NonZeroUsize::new(half).unwrap_or(NonZeroUsize::MIN)
}

impl Eviction {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, all: Queue::EMPTY, links: Vec::new(), used: 0, peers: Peers::default() }
    }

    /// Whether `insert` wants to know the peer.
    pub(crate) fn counts_peers(&self) -> bool {
        self.limits.per_peer.is_some()
    }

    /// Counts one close more, the newest. Returns the one that is evicted for it, which is to be woken. That
    /// one counts no more, and `is_evicted` until it is removed.
    pub(crate) fn insert(&mut self, id: EntryId, peer: Option<IpAddr>) -> Option<EntryId> {
        if self.limits == Limits::NONE {
            return None;
        }
        self.used += 1;
        self.all.push(&mut self.links, id);
        let of_peer = peer.zip(self.limits.per_peer).and_then(|(peer, limit)| {
            let queue = self.peers.insert(id, network(peer));
            queue.oldest_over(limit)
        });
        let evicted = of_peer.or_else(|| self.all.oldest_over(self.limits.all?))?;
        self.unlink(evicted);
        self.links[evicted.index()] = Link::EVICTED;
        Some(evicted)
    }

    pub(crate) fn is_evicted(&self, id: EntryId) -> bool {
        self.links.get(id.index()) == Some(&Link::EVICTED)
    }

    /// Forgets a close. It need not have been inserted.
    pub(crate) fn remove(&mut self, id: EntryId) {
        match self.links.get(id.index()) {
            None | Some(&Link::UNUSED) => return,
            Some(&Link::EVICTED) => {}
            Some(_) => self.unlink(id),
        }
        self.links[id.index()] = Link::UNUSED;
        self.used -= 1;
        if self.used == 0 && self.links.capacity() > FEW {
            self.links = Vec::new();
            self.peers = Peers::default();
        }
    }

    fn unlink(&mut self, id: EntryId) {
        self.all.unlink(&mut self.links, id);
        self.peers.remove(id);
    }
}

/// Up to this many unused links are kept.
const FEW: usize = 64;

/// Who counts as one peer: an IPv4 address, or a /64 of IPv6, since that is what one IPv6 host is given at
/// least (RFC 6177).
fn network(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

impl Peers {
    fn insert(&mut self, id: EntryId, network: IpAddr) -> Queue {
        self.of_entry.insert(id, network);
        let queue = self.queues.entry(network).or_insert(Queue::EMPTY);
        queue.push(&mut self.links, id);
        *queue
    }

    fn remove(&mut self, id: EntryId) {
        let Some(network) = self.of_entry.remove(&id) else { return };
        if let Some(queue) = self.queues.get_mut(&network) {
            queue.unlink(&mut self.links, id);
            if queue.len == 0 {
                self.queues.remove(&network);
            }
        }
    }
}

impl Queue {
    const EMPTY: Self = Self { oldest: END, newest: END, len: 0 };

    /// The one that has to go, if there are more than the limit.
    fn oldest_over(&self, limit: NonZeroUsize) -> Option<EntryId> {
        (self.len > limit.get()).then(|| EntryId::of(self.oldest as usize))
    }

    fn push(&mut self, links: &mut Vec<Link>, id: EntryId) {
        if links.len() <= id.index() {
            links.resize(id.index() + 1, Link::UNUSED);
        }
        links[id.index()] = Link { older: self.newest, newer: END };
        match self.newest {
            END => self.oldest = id.link(),
            newest => links[newest as usize].newer = id.link(),
        }
        self.newest = id.link();
        self.len += 1;
    }

    fn unlink(&mut self, links: &mut [Link], id: EntryId) {
        let Link { older, newer } = links[id.index()];
        match older {
            END => self.oldest = newer,
            older => links[older as usize].newer = newer,
        }
        match newer {
            END => self.newest = older,
            newer => links[newer as usize].older = older,
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracker::timers::BYTES_PER_ENTRY;

    fn limits(all: usize, per_peer: Option<usize>) -> Limits {
        Limits { all: NonZeroUsize::new(all), per_peer: per_peer.and_then(NonZeroUsize::new) }
    }

    fn id(index: usize) -> EntryId {
        EntryId::of(index)
    }

    fn peer(address: &str) -> Option<IpAddr> {
        address.parse().ok()
    }

    #[test]
    fn the_oldest_that_is_still_there_goes_first() {
        let mut eviction = Eviction::new(limits(3, None));
        // Not in the order of the ids, which are used again.
        assert_eq!([id(2), id(0), id(4)].map(|each| eviction.insert(each, None)), [None; 3]);
        assert_eq!(eviction.insert(id(1), None), Some(id(2)));
        assert!(eviction.is_evicted(id(2)) && !eviction.is_evicted(id(0)));
        eviction.remove(id(4));
        assert_eq!(eviction.insert(id(3), None), None, "one has ended");
        assert_eq!(eviction.insert(id(5), None), Some(id(0)));
        eviction.remove(id(2));
        eviction.remove(id(0));
        assert_eq!(eviction.insert(id(2), None), Some(id(1)), "an id that is used again is new");
        assert!(!eviction.is_evicted(id(2)));
        eviction.remove(id(5));
        eviction.remove(id(5));
        assert_eq!(eviction.insert(id(6), None), None);
        assert_eq!(eviction.insert(id(0), None), Some(id(3)));
    }

    #[test]
    fn a_peer_that_has_too_many_loses_its_own_oldest() {
        let mut eviction = Eviction::new(limits(5, Some(2)));
        assert_eq!(eviction.insert(id(0), peer("192.0.2.1")), None);
        assert_eq!(eviction.insert(id(1), peer("192.0.2.2")), None);
        assert_eq!(eviction.insert(id(2), peer("192.0.2.2")), None);
        assert_eq!(eviction.insert(id(3), peer("192.0.2.2")), Some(id(1)));
        eviction.remove(id(2));
        assert_eq!(eviction.insert(id(4), peer("192.0.2.2")), None);
        assert_eq!(eviction.insert(id(5), None), None);
        assert_eq!(eviction.insert(id(6), None), None);
        assert_eq!(
            eviction.insert(id(7), None),
            Some(id(0)),
            "the oldest of all: those without a peer count too"
        );
        assert_eq!(eviction.peers.of_entry.len(), 2);
    }

    #[test]
    fn an_ipv6_peer_is_its_64_bit_network() {
        let mut eviction = Eviction::new(limits(100, Some(1)));
        assert_eq!(eviction.insert(id(0), peer("2001:db8:0:1::1")), None);
        assert_eq!(eviction.insert(id(1), peer("2001:db8:0:2::1")), None);
        assert_eq!(eviction.insert(id(2), peer("2001:db8:0:1:ffff::2")), Some(id(0)));
        assert_eq!(eviction.insert(id(3), peer("192.0.2.1")), None);
        assert_eq!(eviction.insert(id(4), peer("192.0.2.2")), None);
    }

    #[test]
    fn nothing_is_kept_where_there_is_no_limit_or_nobody_waits() {
        let mut eviction = Eviction::new(Limits::NONE);
        for each in (0..8).map(id) {
            assert_eq!(eviction.insert(each, peer("192.0.2.1")), None);
            eviction.remove(each);
        }
        assert_eq!((eviction.links.capacity(), eviction.peers.links.capacity()), (0, 0));

        let mut eviction = Eviction::new(limits(500, Some(500)));
        let many: Vec<_> = (0..1000).map(id).collect();
        let evicted: Vec<_> =
            many.iter().filter_map(|each| eviction.insert(*each, peer("192.0.2.1"))).collect();
        assert_eq!(evicted, many[..500]);
        many.iter().rev().for_each(|each| eviction.remove(*each));
        assert_eq!((eviction.links.capacity(), eviction.peers.links.capacity()), (0, 0));
        assert_eq!((eviction.all.len, eviction.peers.queues.len(), eviction.peers.of_entry.len()), (0, 0, 0));
    }

    #[test]
    fn the_default_is_half_of_the_descriptors_and_at_least_one() {
        assert_eq!([0, 1, 2, 3, 1024].map(|descriptors| half(descriptors).get()), [1, 1, 1, 1, 512]);
        #[cfg(unix)]
        {
            use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

            let (soft, _hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("it has one");
            assert_eq!(Limits::default().all.is_none(), soft == RLIM_INFINITY);
            // Its type is not the same on all systems.
            let half = usize::try_from(soft / 2).ok();
            assert!(Limits::default().all.is_none_or(|limit| Some(limit.get()) == half));
        }
    }

    #[test]
    fn a_close_that_waits_costs_the_tracker_at_most_48_bytes() {
        // Less where a pointer has 32 bits.
        assert!(BYTES_PER_ENTRY + size_of::<Link>() <= 48, "{BYTES_PER_ENTRY} and {}", size_of::<Link>());
    }
}
