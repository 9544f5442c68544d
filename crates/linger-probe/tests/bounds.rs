//! Whatever a server sends, the probe's memory and time are bounded.

use std::ffi::OsStr;
use std::process::Output;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tower_linger_tests::server::{Running, accept_loop, listen};

/// A probe that runs for longer fails the test.
const BOUND: Duration = Duration::from_secs(300);
/// How much the probe may allocate, in KiB.
const MEMORY: u32 = 200 << 10;

/// Runs `check` with a memory limit; an allocation beyond it aborts the probe.
async fn check<S: AsRef<OsStr>>(args: &[S]) -> Output {
    let limited = format!("ulimit -d {MEMORY}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &limited, env!("CARGO_BIN_EXE_linger-probe"), "check"]).args(args);
    tokio::time::timeout(BOUND, command.kill_on_drop(true).output())
        .await
        .expect("it ends")
        .expect("it starts")
}

/// A server that sends `first`, and then `more` for as long as the client takes it.
async fn endless(first: &'static [u8], more: &'static [u8]) -> Running {
    accept_loop(
        listen().await,
        tower::service_fn(move |mut io: TcpStream| async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(io.read_u8().await?);
            }
            io.write_all(first).await?;
            let block = more.repeat((64 << 10) / more.len().max(1));
            while !more.is_empty() {
                io.write_all(&block).await?;
            }
            std::io::Result::Ok(())
        }),
    )
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it prints UTF-8")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end_is_judged_within_the_memory() {
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
    // A busy machine can need more than the default timeout for 256 MiB of tiny chunks.
    let only = ["--only", "close.requested", "-n", "5", "--fail-on", "harsh", "--timeout", "60"];
    let cases: [(&[u8], &[u8], &str); 4] = [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"b", "has no end within 256 MiB"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\nb\r\n",
            "has no end within 256 MiB",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n", b"b", "is longer than 256 MiB"),
        (OK, b"b", "whole, and then data without end"),
    ];
    for (first, more, why) in cases {
        let server = endless(first, more).await;
        let output = check(&[&[format!("http://{}/", server.address).as_str()], &only[..]].concat()).await;
        let said = text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
        let judged = i32::from(!why.contains("longer"));
        assert_eq!(output.status.code(), Some(judged), "{output:?}");
        assert!(said.contains(why), "{why}: {said}");
    }
}

/// Such servers have answered, although not with a response.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_without_end_is_reported_as_such() {
    let cases: [(&[u8], &[u8], &str); 4] = [
        (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n", "answers, but with a head of more than 2 MiB"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"b", "answers, but with a head of more than 2 MiB"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", "answers, but with interim responses without end"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"", "answers, but with a head that does not end"),
    ];
    for (first, more, why) in cases {
        let server = endless(first, more).await;
        let output = check(&[&format!("http://{}/", server.address), "--timeout", "2"]).await;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains(why), "{why}: {output:?}");
    }
}

/// The deadline holds for the whole check, and rows that were done before it are reported.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_ends_at_its_deadline() {
    let count = std::sync::atomic::AtomicU32::new(0);
    let server = accept_loop(
        listen().await,
        tower::service_fn(move |mut io: TcpStream| {
            // Enough for the first look and one row.
            let answers = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 6;
            async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(io.read_u8().await?);
                }
                if answers {
                    io.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").await?;
                    io.shutdown().await?;
                }
                while io.read(&mut [0; 4096]).await? > 0 {}
                std::io::Result::Ok(())
            }
        }),
    );
    let url = format!("http://{}/", server.address);
    let begun = Instant::now();
    let args = ["--only", "close.requested,close.pipelined,close.half_closed", "-n", "1"];
    let output = check(&[&[url.as_str(), "--timeout", "60", "--deadline", "3"], &args[..]].concat()).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = text(&output.stdout);
    assert!(said.contains("1 pass") && said.contains("--deadline"), "{said}");
    // Far less than the timeout.
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
}
