//! What happens to the packets of this network namespace.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

/// No packet arrives at this address any more, but those that it sends do.
pub(crate) fn deafen(address: Ipv4Addr) {
    nft(&format!(
        "add table inet deaf\n\
         add chain inet deaf arriving {{ type filter hook input priority 0; }}\n\
         add rule inet deaf arriving ip daddr {address} drop\n"
    ));
}

/// The counterpart of [`deafen`].
pub(crate) fn hear() {
    nft("add table inet deaf\ndelete table inet deaf\n");
}

/// So many of 100 packets are lost, in both directions.
pub(crate) fn lose(percent: u32) {
    nft(&format!(
        "add table inet loss\n\
         add chain inet loss arriving {{ type filter hook input priority 1; }}\n\
         add rule inet loss arriving meta l4proto tcp numgen random mod 100 < {percent} drop\n"
    ));
}

/// The counterpart of [`lose`].
pub(crate) fn lose_nothing() {
    nft("delete table inet loss\n");
}

/// Takes the link down, or brings it up again.
pub(crate) fn set(state: &str) {
    let status = Command::new("ip").args(["link", "set", "lo", state]).status();
    let status =
        status.unwrap_or_else(|error| panic!("ip does not start ({error}): `make needs` installs it"));
    assert!(status.success(), "the namespace is ours");
}

fn nft(rules: &str) {
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("nft does not start ({error}): `make needs` installs it"));
    let mut stdin = nft.stdin.take().expect("piped");
    stdin.write_all(rules.as_bytes()).expect("nft reads its rules");
    drop(stdin);
    assert!(nft.wait().expect("nft ends").success(), "nft takes these rules: {rules}");
}
