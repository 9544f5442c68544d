//! A kernel whose `TCP_INFO` has fewer fields than are asked for.

use std::fs;
use std::process::{Command, Output};
use std::sync::mpsc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;
use tower_linger::{ClosePolicy, LingerLayer, Outcome, Release};

use super::pair;
use super::processes::{child_of, run};

/// Answers to `TCP_INFO` as old kernels, and other systems that imitate Linux, do.
const SHORT_TCP_INFO: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

int getsockopt(int socket, int level, int name, void *value, socklen_t *length) {
    int (*real)(int, int, int, void *, socklen_t *) = dlsym(RTLD_NEXT, "getsockopt");
    if (level == IPPROTO_TCP && name == TCP_INFO && *length > 104)
        *length = 104;
    return real(socket, level, name, value, length);
}
"#;

#[test]
fn a_short_tcp_info_loses_only_what_it_would_tell() {
    const NAME: &str = "tcp_info::a_short_tcp_info_loses_only_what_it_would_tell";
    if let Some(child) = child_of() {
        let runtime = Builder::new_current_thread().enable_all().build();
        return runtime.expect("a runtime").block_on(closes_that_ask(child == "short"));
    }
    let directory = tempfile::tempdir().expect("there is room");
    let (source, library) = (directory.path().join("short.c"), directory.path().join("short.so"));
    fs::write(&source, SHORT_TCP_INFO).expect("there is room");
    let bits = if cfg!(target_pointer_width = "32") { "-m32" } else { "-m64" };
    let flags = [bits, "-shared", "-fPIC", "-o"];
    let built = Command::new("cc").args(flags).arg(&library).arg(&source).status();
    assert!(built.expect("Rust's linker is there").success());

    let panics = |output: Output| String::from_utf8_lossy(&output.stderr).matches("panicked at").count();
    assert_eq!(panics(run(NAME, "whole", None)), 0);
    assert_eq!(panics(run(NAME, "short", Some(&library))), 0);
}

async fn closes_that_ask(is_short: bool) {
    let (reports, seen) = mpsc::channel();
    let short = Duration::from_secs(1);
    let policy =
        ClosePolicy::builder().early_release(2).drain_idle_timeout(short).build().expect("makes sense");
    let linger = LingerLayer::new(policy).on_close(move |report| {
        let _ = reports.send(*report);
    });

    // An early release, with a client that stays. Without the kernel's answer, the drain lasts as long as
    // without the setting.
    let (client, server) = pair().await;
    drop(linger.wrap(server));
    linger.tracker().wait().await;
    let report = seen.try_recv().expect("reported");
    let expected = if is_short { (Outcome::DrainIdle, None) } else { (Outcome::Acknowledged, Some(0)) };
    assert_eq!((report.outcome, report.unacked), expected);
    drop(client);

    // A cut response that ends with its connection: a RST, once the client has what was sent.
    let (mut client, server) = pair().await;
    let mut io = linger.wrap(server);
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.expect("loopback");
    io.read_exact(&mut [0; 18]).await.expect("loopback");
    io.write_all(b"HTTP/1.0 200 OK\r\n\r\nhalf").await.expect("loopback");
    io.abort();
    let mut received = Vec::new();
    let error = client.read_to_end(&mut received).await.expect_err("reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(received.ends_with(b"half"));
    linger.tracker().wait().await;
    let report = seen.try_recv().expect("reported");
    assert_eq!((report.outcome, report.release), (Outcome::Aborted, Release::Abort));
    assert_eq!(report.unacked, if is_short { None } else { Some(0) });
}
