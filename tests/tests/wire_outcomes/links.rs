//! The links of the lab.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use tower_linger_tests::slow_link::{FAR, NEAR, SlowLink};

use super::scene::{SERVER, nft};

/// What lies between the server and its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Fast,
    /// 100 Mbit/s, and buffers of a few KiB.
    Slow,
    /// One of a hundred packets is lost each way.
    Lossy,
    SlowAndLossy,
    /// 20 ms each way.
    Long,
}

impl Link {
    /// Sets it up. Returns where the server listens, and where its clients find it.
    pub(super) fn set_up(self) -> (SocketAddr, SocketAddr) {
        if matches!(self, Self::Slow | Self::SlowAndLossy) {
            let args = "qdisc add dev lo root tbf rate 100mbit burst 64kb latency 100ms";
            let tc = Command::new("tc").args(args.split(' ')).status().expect("`tc` of iproute2");
            assert!(tc.success(), "tc {args}");
            for buffer in ["tcp_wmem", "tcp_rmem"] {
                std::fs::write(format!("/proc/sys/net/ipv4/{buffer}"), "4096 16384 16384")
                    .expect("it is ours");
            }
        }
        if matches!(self, Self::Lossy | Self::SlowAndLossy) {
            nft("add table inet test\n\
                 add chain inet test input { type filter hook input priority 0; }\n\
                 add rule inet test input tcp sport 8080 numgen random mod 100 < 1 drop\n\
                 add rule inet test input tcp dport 8080 numgen random mod 100 < 1 drop\n");
        }
        if self != Self::Long {
            return (SERVER, SERVER);
        }
        let _stays_up = SlowLink::new(Duration::from_millis(20));
        let at = |host: Ipv4Addr| SocketAddr::new(host.into(), SERVER.port());
        (at(NEAR), at(FAR))
    }
}
