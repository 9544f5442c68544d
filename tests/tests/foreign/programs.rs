//! Runs the foreign programs.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::servers::MESSAGE;
use super::{TRIES, UPLOAD_BYTES};

/// How many of the uploads got the status and the whole body, as the script prints it.
pub(crate) async fn python_uploads(library: &str, url: &str, authority: Option<&NamedTempFile>) -> String {
    let script = include_str!("uploads.py");
    let authority = authority.map(|file| file.path().display().to_string()).unwrap_or_default();
    let (size, tries) = (UPLOAD_BYTES.to_string(), TRIES.to_string());
    run(&python().await, &["-c", script, library, url, &authority, &size, &tries, MESSAGE], "").await
}

/// A Python that has `requests`: Debian's, or else the first in the path.
pub(crate) async fn python() -> String {
    for python in ["/usr/bin/python3", "python3"] {
        let probe = Command::new(python).args(["-c", "import requests"]).stderr(Stdio::null()).status().await;
        if probe.is_ok_and(|status| status.success()) {
            return python.to_owned();
        }
    }
    panic!("no python3 with `requests` here: `make needs` installs one");
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

pub(crate) async fn gnutls(server: SocketAddr, authority: &NamedTempFile) -> String {
    let (port, host) = (server.port().to_string(), server.ip().to_string());
    let authority = format!("--x509cafile={}", authority.path().display());
    run("gnutls-cli", &[&authority, "--verify-hostname=localhost", "-p", &port, &host], REQUEST).await
}

pub(crate) async fn openssl(server: SocketAddr, authority: &NamedTempFile) -> String {
    let authority = authority.path().display().to_string();
    let server = server.to_string();
    run("openssl", &["s_client", "-connect", &server, "-CAfile", &authority, "-ign_eof"], REQUEST).await
}

/// Runs a program and returns what it printed. Its input stays open until it ends by itself.
pub(crate) async fn run<S: AsRef<OsStr>>(program: &str, args: &[S], input: &str) -> String {
    const BOUND: Duration = Duration::from_secs(120);
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{program} does not start ({error}): `make needs` installs it"));
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).await.expect("it reads its input");
    let output = tokio::time::timeout(BOUND, child.wait_with_output()).await;
    let output = output.unwrap_or_else(|_| panic!("{program} takes longer than {BOUND:?}")).expect("it ends");
    drop(stdin);
    // Shown if the test fails: the scripts print their clients' errors there.
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    let mut printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if printed.is_empty() || !input.is_empty() {
        printed.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    printed
}

pub(crate) fn file(contents: &str) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), contents).expect("a temporary file takes it");
    file
}
