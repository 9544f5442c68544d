//! The ports that a process listens on.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;

use procfs::ProcError;
use procfs::net::TcpState;
use procfs::process::{FDTarget, Process};

/// The ports on which the process listens now, in order.
///
/// # Errors
/// A line that says why there are none.
pub(crate) fn listening_ports(pid: i32) -> Result<Vec<u16>, String> {
    let failed = |error: &ProcError| match error {
        ProcError::NotFound(_) => format!("--process {pid}: there is no such process"),
        ProcError::PermissionDenied(_) => {
            format!("--process {pid}: its sockets cannot be seen: run this as root or as its user")
        }
        error => format!("--process {pid}: {error}"),
    };
    let process = Process::new(pid).map_err(|error| failed(&error))?;
    in_this_namespace(&process, pid)?;
    let descriptors = process.fd().map_err(|error| failed(&error))?;
    // A descriptor may be closed meanwhile.
    let sockets: HashSet<u64> = descriptors
        .flatten()
        .filter_map(|descriptor| match descriptor.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        })
        .collect();
    // Without IPv6 there is no table for it.
    let tables = [process.tcp().map_err(|error| failed(&error))?, process.tcp6().unwrap_or_default()];
    let listens = tables.iter().flatten().filter(|entry| entry.state == TcpState::Listen);
    let its_own = listens.filter(|entry| sockets.contains(&entry.inode));
    let ports: BTreeSet<u16> = its_own.map(|entry| entry.local_address.port()).collect();
    if ports.is_empty() {
        return Err(format!("--process {pid}: it listens on no TCP port: name it with --port"));
    }
    Ok(ports.into_iter().collect())
}

/// Packets are those of this process's own network namespace.
fn in_this_namespace(process: &Process, pid: i32) -> Result<(), String> {
    let namespace = |process: &Process| {
        let found = process.namespaces().ok()?;
        found.0.get(&OsString::from("net")).map(|net| net.identifier)
    };
    let here = Process::myself().ok().and_then(|this| namespace(&this));
    match (here, namespace(process)) {
        (Some(here), Some(there)) if here != there => Err(format!(
            "--process {pid}: it is in another network namespace: run this there, with `nsenter -t {pid} -n`"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_process_is_asked_for_its_ports() {
        let listeners: Vec<_> =
            ["127.0.0.1:0", "127.0.0.1:0"].map(|at| TcpListener::bind(at).expect("a free port")).into();
        let ports = listening_ports(i32::try_from(std::process::id()).expect("a pid")).expect("it listens");
        for listener in &listeners {
            let port = listener.local_addr().expect("bound").port();
            assert!(ports.contains(&port), "{port} in {ports:?}");
        }
        let error = listening_ports(i32::MAX).expect_err("no such process");
        assert!(error.contains("there is no such process"), "{error}");
    }
}
