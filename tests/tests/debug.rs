//! What `{:?}` shows of a layer and its connections: what somebody looks for who has it in a log.

use tokio::io::duplex;
use tower_linger::{ClosePolicy, LingerLayer};

#[track_caller]
fn has(shown: &str, parts: &[&str]) {
    for part in parts {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
}

#[tokio::test]
async fn a_layer_and_its_connections_show_what_they_are_about() {
    let policy = ClosePolicy::builder().drain_limit_bytes(12_345).build().expect("makes sense");
    let linger = LingerLayer::new(policy).named("edge");
    has(&format!("{linger:?}"), &[r#"listener: "edge""#, "drain_limit_bytes: 12345", "served: 0"]);

    let io = linger.wrap(duplex(16).0);
    has(&format!("{io:?}"), &["LingerIo", "io: DuplexStream"]);
    has(&format!("{:?}", io.watch(())), &["Watched", "Connection { exchanges: Exchanges"]);
    let handle = io.close_handle();
    has(&format!("{handle:?}"), &["CloseHandle { wanted: None }"]);
    handle.abort();
    has(&format!("{handle:?}"), &["CloseHandle { wanted: Abort }"]);
    assert_eq!(format!("{:?}", linger.tracker()), "Tracker { served: 1, closing: 0, .. }");

    let close = linger.close(duplex(16).0);
    has(&format!("{close:?}"), &["Close { phase: Some(Flush)"]);
}
