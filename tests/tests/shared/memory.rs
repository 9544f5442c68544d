//! What this process takes of the machine's memory.

/// Memory of this process that no file backs: heap and stacks, in KiB.
pub(crate) fn anonymous_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs is there");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux has it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
