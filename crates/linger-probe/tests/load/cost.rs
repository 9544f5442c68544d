//! What a load needs from this machine: open files and memory.

use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::process::Command;
use tower_linger_tests::until::until;

use super::{layered, url};

/// Runs the probe in a shell that sets these limits of open files.
async fn limited(limits: &str, args: &[&str]) -> Output {
    let script = format!("{limits}; exec \"$0\" load \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_linger-probe")]).args(args).kill_on_drop(true);
    tokio::time::timeout(super::BOUND, shell.output()).await.expect("it ends").expect("it starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_open_files_is_raised_or_told() {
    let server = layered().await;
    let url = url(&server);
    let args = [&url, "--keep-alive", "--mix", "get", "-d", "0.5", "--format", "json", "-c", "100"];
    let output = limited("ulimit -Sn 64", &args).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&found["load"][0]["connections"], &found["load"][0]["unopened"]),
        (&100.into(), &Value::Null)
    );

    let output = limited("ulimit -n 80", &args).await;
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.code() == Some(2) && output.stdout.is_empty(), "{said}");
    let line = "error: --connections 100 needs 164 open files, and this process may have 80 (RLIMIT_NOFILE, \
                hard limit): `ulimit -n 164` in the shell as root, or at most 16 --connections\n";
    assert_eq!(said, line);
    // The advice in the error is right.
    let output = limited("ulimit -n 80", &[&args[..8], &["-c", "16"]].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// The most memory that a load of so many connections took, in KiB.
#[cfg(target_os = "linux")]
async fn peak(url: &str, connections: &str) -> u64 {
    let args =
        ["load", url, "--keep-alive", "--mix", "get", "-d", "2", "--format", "json", "-c", connections];
    let mut command = Command::new(env!("CARGO_BIN_EXE_linger-probe"));
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut probe = command.spawn().expect("it starts");
    let status = format!("/proc/{}/status", probe.id().expect("it runs"));
    let mut peak = 0;
    until("the probe ends", || {
        // There is nothing to read once the process has ended.
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kibibytes) = line.and_then(|line| line.trim().strip_suffix(" kB")) {
            peak = kibibytes.parse().expect("a number");
        }
        probe.try_wait().expect("it is a child").is_some()
    })
    .await;
    let output = probe.wait_with_output().await.expect("it has ended");
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found["load"][0]["connections"].to_string(), connections, "{found:#}");
    peak
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_takes_little_memory() {
    let server = layered().await;
    let (few, many) = (peak(&url(&server), "100").await, peak(&url(&server), "700").await);
    let each = many.saturating_sub(few) / 600;
    assert!(few > 0 && each < 16, "{each} KiB each: {few} KiB with 100 connections, {many} with 700");
}
