//! Pressure on the memory that a process's sockets may have.
//!
//! Two limits do that. A control group bounds what the kernel holds for the TCP connections of a process
//! (`memory.kmem.tcp.limit_in_bytes` of version 1), next to all of its other memory. It takes root, and the
//! memory controller of version 1. Otherwise the buffers of all connections in this network namespace are
//! made small (`tcp_rmem` and `tcp_wmem`). `tcp_mem`, which bounds them all together, is not there in a
//! namespace: it belongs to the whole machine. A `memory.max` of version 2 counts heap and sockets together,
//! and the kernel kills the process when sockets have used it up, whatever the process does.

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;
use tower_linger_tests::until::until;

/// What the kernel may hold for the server's connections.
const TCP_BYTES: u64 = 1 << 20;

/// How much other memory the process may have that it does not have yet.
const MORE_BYTES: u64 = 64 << 20;

#[derive(Debug)]
pub(crate) enum Pressure {
    Group { group: PathBuf, parent: PathBuf, process: Pid },
    SmallBuffers,
}

impl Pressure {
    pub(crate) fn on(process: Pid) -> Self {
        Self::by_group(process).unwrap_or_else(|why| {
            println!("no control group ({why}): the namespace's buffers are made small instead");
            for file in BUFFERS {
                fs::write(file, SMALL).expect("the namespace is ours");
            }
            Self::SmallBuffers
        })
    }

    fn by_group(process: Pid) -> Result<Self, String> {
        let parent = own_group().ok_or("the memory controller is not one of version 1")?;
        let group = parent.join(format!("tower-linger-faults-{process}"));
        let name = |file: &str| group.join(file);
        fs::create_dir(&group).map_err(|error| error.to_string())?;
        let all = Self::Group { group: group.clone(), parent, process };
        let bound = || {
            fs::write(name(TCP_LIMIT), TCP_BYTES.to_string())?;
            fs::write(name("memory.limit_in_bytes"), MORE_BYTES.to_string())?;
            fs::write(name("cgroup.procs"), process.to_string())
        };
        bound().map(|()| all).map_err(|error: std::io::Error| error.to_string())
    }

    /// Waits until the limit was reached.
    pub(crate) async fn assert_felt(&self) {
        match self {
            Self::Group { group, .. } => {
                let reached = || number(&group.join(TCP_MOST)) >= TCP_BYTES;
                until("the connections have what they may", reached).await;
                // The kernel lets each connection have a little more than that.
                let used = number(&group.join(TCP_USED));
                assert!(used < 8 * TCP_BYTES, "{used} bytes");
            }
            Self::SmallBuffers => {
                let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
                for file in BUFFERS {
                    assert_eq!(
                        words(&fs::read_to_string(file).expect("it is there")),
                        words(SMALL),
                        "{file}"
                    );
                }
            }
        }
    }
}

impl Drop for Pressure {
    fn drop(&mut self) {
        if let Self::Group { group, parent, process } = self {
            // It may have ended.
            let _ = fs::write(parent.join("cgroup.procs"), process.to_string());
            let _ = fs::remove_dir(group);
        }
    }
}

const TCP_LIMIT: &str = "memory.kmem.tcp.limit_in_bytes";
const TCP_MOST: &str = "memory.kmem.tcp.max_usage_in_bytes";
const TCP_USED: &str = "memory.kmem.tcp.usage_in_bytes";

/// The smallest, the first and the largest buffer of a connection, in bytes.
const SMALL: &str = "4096 8192 16384";
const BUFFERS: [&str; 2] = ["/proc/sys/net/ipv4/tcp_rmem", "/proc/sys/net/ipv4/tcp_wmem"];

/// The control group of this process, if version 1 has the memory controller.
fn own_group() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.split_once(":memory:/"))?.1;
    let group = Path::new("/sys/fs/cgroup/memory").join(path);
    group.join(TCP_LIMIT).exists().then_some(group)
}

fn number(file: &Path) -> u64 {
    fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or_default()
}
