//! What this process takes of the machine's memory.

/// Memory of this process that no file backs: heap and stacks, in KiB.
#[allow(dead_code, reason = "each test that has this file uses a part of it")]
pub(crate) fn anonymous_kib() -> u64 {
    anonymous_kib_of("/proc/self")
}

/// That of the process with this folder.
pub(crate) fn anonymous_kib_of(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("{process}/status")).expect("procfs is there");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux has it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
