//! Addresses by number.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which address stands for which.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    v4: Numbers<Ipv4Addr>,
    v6: Numbers<Ipv6Addr>,
}

/// Numbers in the order of appearance.
#[derive(Debug)]
struct Numbers<A> {
    known: HashMap<A, u32>,
    /// The known ones, the oldest first.
    order: VecDeque<A>,
    next: u32,
}

impl Addresses {
    pub(super) fn map(&mut self, address: IpAddr) -> IpAddr {
        match address {
            address if address.is_loopback() => address,
            IpAddr::V4(address) => {
                let [_, a, b, c] = self.v4.number(address).to_be_bytes();
                Ipv4Addr::new(10, a, b, c).into()
            }
            IpAddr::V6(address) => {
                let [a, b, c, d] = self.v6.number(address).to_be_bytes();
                let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, high, low).into()
            }
        }
    }
}

impl<A: Copy + Eq + Hash> Numbers<A> {
    fn number(&mut self, address: A) -> u32 {
        if let Some(number) = self.known.get(&address) {
            return *number;
        }
        if self.order.len() == LIMIT {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
        let number = self.next;
        // 24 bits are free in 10.0.0.0/8.
        self.next = if number == (1 << 24) - 1 { 1 } else { number + 1 };
        self.known.insert(address, number);
        self.order.push_back(address);
        number
    }
}

impl<A> Default for Numbers<A> {
    fn default() -> Self {
        Self { known: HashMap::new(), order: VecDeque::new(), next: 1 }
    }
}

/// About 100 MB for IPv6. Only scans and floods have more.
const LIMIT: usize = 1 << 20;
