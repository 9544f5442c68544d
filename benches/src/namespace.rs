//! A network namespace for a bench that sets up a network of its own, or reads the kernel's counters.

use std::process::{Command, ExitCode};

/// Runs this program again in a new network namespace with loopback up, and returns its status. Returns
/// `None` inside that namespace.
///
/// # Panics
///
/// If `unshare` or `ip` is missing, or namespaces are not allowed.
#[must_use]
pub fn enter() -> Option<ExitCode> {
    const INSIDE: &str = "TOWER_LINGER_BENCH_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("`ip` of iproute2");
        assert!(up.success(), "the namespace is ours");
        return None;
    }
    // A user who is not root becomes root in the namespace, and only there.
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
