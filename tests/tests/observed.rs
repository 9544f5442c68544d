//! The events that a log gets, inside the span of their close. The only test of its binary: `tracing` asks
//! once whether anybody wants an event, and a test without a subscriber that ran beside this one could be
//! asked first.

use std::io;
use std::sync::{Arc, Mutex};

use tower_linger::{ClosePolicy, close};
use tower_linger_tests::scripted::Script;

/// The events have the fields that the crate's documentation promises.
#[tokio::test(start_paused = true)]
async fn each_phase_change_and_each_outcome_is_one_event() {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .without_time()
        .with_ansi(false)
        .finish();
    let watching = tracing::subscriber::set_default(subscriber);
    let (script, io) = Script::new();
    script.send(7);
    script.end();
    let _report = close(io, &ClosePolicy::default()).await;
    drop(watching);
    let bytes = log.0.lock().expect("no panic").clone();
    let text = String::from_utf8(bytes).expect("text");
    let lines: Vec<_> = text.lines().filter(|line| line.contains("tower_linger: ")).map(str::trim).collect();
    assert_eq!(
        lines,
        [
            r#"TRACE close{listener="default"}: tower_linger: phase from="flush" to="notify""#,
            r#"TRACE close{listener="default"}: tower_linger: phase from="notify" to="half_close""#,
            r#"TRACE close{listener="default"}: tower_linger: phase from="half_close" to="drain""#,
            r#"TRACE close{listener="default"}: tower_linger: phase from="drain" to="done""#,
            concat!(
                r#"DEBUG close{listener="default"}: tower_linger: closed outcome="peer_closed" "#,
                r#"ended_in="drain" bytes_drained=7 "#,
                "sent_close_notify=true flush_us=0 drain_us=0 total_us=0"
            ),
        ]
    );
}
