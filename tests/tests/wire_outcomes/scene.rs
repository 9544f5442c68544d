//! A server's connection, its client, and what happens to the packets between them.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tower_linger::{ClosePolicy, ClosePolicyBuilder};

/// A fixed port: each test has a network namespace of its own.
pub(crate) const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// The two ends of a connection, server first.
pub(crate) async fn connect() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(SERVER).await.expect("the port is free");
    let (client, accepted) = tokio::join!(TcpStream::connect(SERVER), listener.accept());
    (accepted.expect("loopback").0, client.expect("loopback"))
}

/// A policy whose drain lasts longer than the kernel's bounds in these tests.
pub(crate) fn patient() -> ClosePolicyBuilder {
    ClosePolicy::builder().drain_idle_timeout(Duration::from_secs(30))
}

/// Applies this verdict of nftables to the packets that arrive from the server.
pub(crate) fn on_the_way_to_the_client(verdict: &str) {
    nft(&format!(
        "flush ruleset\n\
         add table inet test\n\
         add chain inet test to_client {{ type filter hook input priority 0; }}\n\
         add rule inet test to_client tcp sport 8080 {verdict}\n"
    ));
}

/// Lets every packet pass again.
pub(crate) fn heal() {
    nft("flush ruleset\n");
}

pub(super) fn nft(rules: &str) {
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

/// Runs `ss`, and returns what it prints.
pub(crate) fn ss(args: &[&str]) -> String {
    let output = Command::new("ss")
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("ss does not start ({error}): `make needs` installs it"));
    assert!(output.status.success(), "ss {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
