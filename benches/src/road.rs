//! A slow, lossy road on this machine, in a network namespace of its own: packets to [`FAR`] come back, late
//! or not at all, as if [`FAR`] had sent them to [`NEAR`]. So whoever connects to [`FAR`] reaches who
//! listens on [`NEAR`], over the road both ways.
//!
//! It is a TUN device whose packets get their two addresses swapped, which leaves every checksum right. The
//! kernel's own netem is not everywhere.

use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// This side of the road, to listen on.
pub const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The other side, to connect to.
pub const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// The road, for as long as the process lives.
#[derive(Debug)]
pub struct Road {
    lost_of_thousand: Arc<AtomicU32>,
}

/// Runs this program again in a network namespace of its own, with loopback up, unless it is in one. Returns
/// its status.
///
/// # Panics
///
/// If there is no `unshare`, or it may not be used.
#[must_use]
pub fn enter() -> Option<ExitCode> {
    const INSIDE: &str = "TOWER_LINGER_BENCH_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("`ip` of iproute2");
        assert!(up.success(), "the namespace is ours");
        return None;
    }
    // Whoever is not root is root over the namespace only.
    let whose = if nix::unistd::geteuid().is_root() { "--net" } else { "--net --map-root-user" };
    let status = Command::new("unshare")
        .args(whose.split(' '))
        .arg("--")
        .arg(std::env::current_exe().expect("it runs"))
        .args(std::env::args().skip(1))
        .env(INSIDE, "1")
        .status()
        .expect("`unshare` of util-linux");
    Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Road {
    /// Builds it: each packet is under way for so long.
    ///
    /// # Panics
    ///
    /// Outside a namespace of its own, or where there is no `/dev/net/tun`.
    #[must_use]
    pub fn build(delay: Duration) -> Self {
        let mut config = tun::Configuration::default();
        config.address(NEAR).netmask((255, 255, 255, 0)).destination(NEAR).mtu(MTU).up();
        let (mut out, mut back) = tun::create(&config).expect("/dev/net/tun").split();
        let (send, queue) = mpsc::channel::<(Instant, Vec<u8>)>();
        let lost_of_thousand = Arc::new(AtomicU32::new(0));
        let lost = lost_of_thousand.clone();
        thread::spawn(move || {
            let (mut packet, mut luck) = (vec![0; usize::from(MTU)], 1);
            while let Ok(length) = out.read(&mut packet) {
                let mut turned = packet[..length].to_vec();
                if !turn(&mut turned) || is_lost(&mut luck, lost.load(Ordering::Relaxed)) {
                    continue;
                }
                if send.send((Instant::now() + delay, turned)).is_err() {
                    return;
                }
            }
        });
        thread::spawn(move || {
            while let Ok((due, packet)) = queue.recv() {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                // A device that is gone: so is the process.
                let _ = back.write(&packet);
            }
        });
        Self { lost_of_thousand }
    }

    /// Loses so many packets of a thousand, from now on.
    pub fn lose(&self, of_thousand: u32) {
        self.lost_of_thousand.store(of_thousand, Ordering::Relaxed);
    }
}

/// Swaps the addresses of an IPv4 packet.
fn turn(packet: &mut [u8]) -> bool {
    let is_ipv4 = packet.len() >= 20 && packet[0] >> 4 == 4;
    if is_ipv4 {
        let (before, destination) = packet.split_at_mut(16);
        before[12..].swap_with_slice(&mut destination[..4]);
    }
    is_ipv4
}

/// A linear congruence, so that every run loses the same ones.
fn is_lost(luck: &mut u32, of_thousand: u32) -> bool {
    *luck = luck.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    (*luck >> 8) % 1000 < of_thousand
}

const MTU: u16 = 1500;
