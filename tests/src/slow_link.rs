//! A slow and lossy link on this machine. What is sent to [`FAR`] arrives at [`NEAR`], as if [`FAR`] had sent
//! it: late, or not at all. A client that connects to [`FAR`] therefore reaches the server that listens on
//! [`NEAR`], and its packets cross the link both ways.
//!
//! The link is a TUN device whose packets come back with their two addresses swapped, which leaves every
//! checksum right. The kernel's own netem is not available everywhere.

use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Where the server listens.
pub const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// Where clients connect to.
pub const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// The link. It stays up until the process ends.
#[derive(Debug)]
pub struct SlowLink {
    lost_of_thousand: Arc<AtomicU32>,
}

impl SlowLink {
    /// Sets the link up. Each packet takes `delay`.
    ///
    /// # Panics
    ///
    /// Outside of a network namespace of its own, or where there is no `/dev/net/tun`.
    #[must_use]
    pub fn new(delay: Duration) -> Self {
        let mut config = tun::Configuration::default();
        config.address(NEAR).netmask((255, 255, 255, 0)).destination(NEAR).mtu(MTU).up();
        let (mut out, mut back) = tun::create(&config).expect("/dev/net/tun").split();
        let (send, queue) = mpsc::channel::<(Instant, Vec<u8>)>();
        let lost_of_thousand = Arc::new(AtomicU32::new(0));
        let lost = lost_of_thousand.clone();
        thread::spawn(move || {
            let (mut packet, mut random) = (vec![0; usize::from(MTU)], 1);
            while let Ok(length) = out.read(&mut packet) {
                let mut packet = packet[..length].to_vec();
                if !swap_addresses(&mut packet) || is_lost(&mut random, lost.load(Ordering::Relaxed)) {
                    continue;
                }
                if send.send((Instant::now() + delay, packet)).is_err() {
                    return;
                }
            }
        });
        thread::spawn(move || {
            while let Ok((due, packet)) = queue.recv() {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                // Fails only when the process is ending and the device is gone.
                let _ = back.write(&packet);
            }
        });
        Self { lost_of_thousand }
    }

    /// From now on, loses this many packets of a thousand.
    pub fn lose(&self, of_thousand: u32) {
        self.lost_of_thousand.store(of_thousand, Ordering::Relaxed);
    }
}

/// Swaps the addresses of an IPv4 packet. Returns false if it is no IPv4 packet.
fn swap_addresses(packet: &mut [u8]) -> bool {
    let is_ipv4 = packet.len() >= 20 && packet[0] >> 4 == 4;
    if is_ipv4 {
        let (before, destination) = packet.split_at_mut(16);
        before[12..].swap_with_slice(&mut destination[..4]);
    }
    is_ipv4
}

/// A linear congruential generator, so that every run loses the same packets.
fn is_lost(random: &mut u32, of_thousand: u32) -> bool {
    *random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    (*random >> 8) % 1000 < of_thousand
}

const MTU: u16 = 1500;
