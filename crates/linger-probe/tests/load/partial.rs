//! The results so far are reported, however a load ends.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_tells_what_was_found_until_then() {
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    let app = Router::new().route("/", get(async move || count.fetch_add(1, Ordering::Relaxed).to_string()));
    let server = serve(listen().await, app);
    let (first, second) = (format!("first={}", url(&server)), format!("second={}", url(&server)));
    let args = ["load", &first, &second, "--mix", "get", "-c", "2", "-d", "600", "--format", "json"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_linger-probe"));
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let probe = command.spawn().expect("it starts");
    let under_way = async {
        while asked.load(Ordering::Relaxed) < 20 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, under_way).await.expect("requests come");
    let id = probe.id().and_then(|id| i32::try_from(id).ok()).expect("it runs");
    kill(Pid::from_raw(id), Signal::SIGINT).expect("it runs");
    let output = tokio::time::timeout(BOUND, probe.wait_with_output()).await.expect("it ends");
    let output = output.expect("it is ours");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(number(&found["load"][0]["kinds"][0]["complete"]) >= 10, "{found:#}");
    assert!(found["interrupted"].as_str().is_some_and(|why| why.contains("interrupted")), "{found:#}");
    assert_eq!(found["gaps"][0]["name"], "second", "{found:#}");
}

/// One server does not listen, and one has no address. The third is still loaded.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_does_not_take_the_others_with_it() {
    let server = layered().await;
    let free = format!("dead=http://{}/", listen().await.local_addr().expect("bound"));
    let nowhere = "http://does-not-exist.invalid/";
    let (found, status) =
        json(&[&free, nowhere, &url(&server), "--mix", "get", "-c", "2", "-d", "0.3"]).await;
    assert_eq!(status, Some(2), "{found:#}");
    assert!(number(&found["load"][0]["kinds"][0]["complete"]) > 0, "{found:#}");
    let gaps = found["gaps"].as_array().expect("gaps");
    assert_eq!(gaps.len(), 2, "{found:#}");
}
