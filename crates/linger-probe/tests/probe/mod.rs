//! Runs the command as a user does, against handwritten servers.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::ffi::OsStr;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tower_linger_tests::server::listen;

/// A probe that runs for longer fails the test.
const BOUND: Duration = Duration::from_secs(120);

/// Runs the probe to its end.
pub(crate) async fn probe<S: AsRef<OsStr>>(args: &[S]) -> Output {
    probe_with(args, &[]).await
}

/// The same, with these environment variables.
pub(crate) async fn probe_with<S: AsRef<OsStr>>(args: &[S], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linger-probe"));
    command.args(args).env("RUST_BACKTRACE", "1").env_remove("NO_COLOR").envs(variables.iter().copied());
    let output = command.kill_on_drop(true).output();
    tokio::time::timeout(BOUND, output).await.expect("it ends").expect("it starts")
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it prints UTF-8")
}

/// Asserts that the probe refuses: one error line on stderr, nothing on stdout, exit status 2.
pub(crate) async fn assert_refused(args: &[&str], line: &str) {
    let output = probe(args).await;
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
    assert!(said.contains(line), "{args:?}: {said}");
    assert!(output.stdout.is_empty(), "{args:?}");
    assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{args:?}: {said}");
    assert!(!said.contains("panicked"), "{args:?}: {said}");
}

/// Starts a server that serves raw connections one after the other, and returns its URL.
pub(crate) async fn raw<F: Future<Output = ()> + Send>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> String {
    let listener: TcpListener = listen().await;
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            serve(connection).await;
        }
    });
    url
}

/// Starts a server that answers any request with these bytes and closes, and returns its URL.
pub(crate) async fn saying(answer: impl Into<Vec<u8>>) -> String {
    let answer = Arc::new(answer.into());
    raw(move |mut connection| {
        let answer = answer.clone();
        async move {
            let mut request = [0; 4096];
            _ = connection.read(&mut request).await;
            _ = connection.write_all(&answer).await;
        }
    })
    .await
}
