//! The server's clocks leap. Only its process sees that: libfaketime answers it in place of the kernel.

use std::fs;
use std::path::Path;
use std::time::Instant;

use super::app::IDLE;
use super::good::Good;
use super::menagerie::Menagerie;
use super::scene::Server;

const YEAR: u64 = 365 * 24 * 60 * 60;

/// Where Debian has it, on each of its architectures.
fn library() -> String {
    let folders = fs::read_dir("/usr/lib").expect("a folder").flatten().map(|entry| entry.path());
    let libraries = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    let found = libraries.into_iter().find(|library| library.exists());
    found.expect("libfaketime: `make needs` installs it").display().to_string()
}

/// Starts a server whose clocks are ahead by what this file says.
async fn start(file: &Path, is_monotonic_real: bool) -> Server {
    fs::write(file, "+0\n").expect("a folder of ours");
    let (library, path) = (library(), file.display().to_string());
    let environment = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", &path),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", if is_monotonic_real { "1" } else { "0" }),
    ];
    Server::start_with(&[], &environment).await
}

/// No connection ends, and none goes on to another phase.
pub(crate) async fn a_wall_clock_that_leaps_by_years_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("time");
    let mut server = start(&file, true).await;
    let good = Good::start(&server.doors());
    for (leap, is_ahead) in [("+10y", true), ("-10y", false)] {
        let mut looked = false;
        for _ in 0..ATTEMPTS {
            if looked {
                break;
            }
            looked = changes_nothing(&mut server, &good, &file, leap, is_ahead).await;
        }
        assert!(looked, "the machine is too slow for the bounds of the closes");
    }
    good.assert_all_served().await;
    server.assert_at_rest(false).await;
}

/// Whether the test has looked in time: before the first close may end by itself.
async fn changes_nothing(server: &mut Server, good: &Good, file: &Path, leap: &str, is_ahead: bool) -> bool {
    fs::write(file, "+0\n").expect("a folder of ours");
    let (before, began) = (server.state().await, Instant::now());
    let mut menagerie = Menagerie::open(server).await;
    fs::write(file, format!("{leap}\n")).expect("a folder of ours");
    let [now, then] = [&server.state().await, &before].map(|state| state.number("wall_clock"));
    assert!(now.abs_diff(then) > 9 * YEAR && (now > then) == is_ahead, "{then} {now}");
    menagerie.ask_again().await;
    // Meanwhile those that trickle have woken their closes.
    good.served_more(6).await;
    let state = server.state().await;
    let in_time = began.elapsed() < IDLE;
    assert!(!in_time || menagerie.is_in(&state), "{leap}: {state:#?}");
    menagerie.go(server).await;
    in_time
}

/// As many times the test tries to look in time.
const ATTEMPTS: usize = 5;

/// As if the process had not run for that time: every bound is over, and each close ends at once.
pub(crate) async fn a_monotonic_clock_that_leaps_by_hours_ends_what_has_a_bound() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("time");
    let mut server = start(&file, false).await;
    let menagerie = Menagerie::open(&mut server).await;
    fs::write(&file, "+5h\n").expect("a folder of ours");
    let state = server.until("every close is over", |state| state.number("closing") == 0).await;
    let later = server
        .until("nobody is waited for who is silent", |state| state.number("served") < menagerie.served())
        .await;
    // Requests under way have no bound here.
    assert!(later.running("pending") > 0 && state.running("upgrade") > 0, "{later:#?}");
    let good = Good::start(&server.doors());
    good.served_more(6).await;
    good.assert_all_served().await;
    menagerie.go(&mut server).await;
    server.assert_at_rest(false).await;
}
