//! Errors of accepting.

use std::io;

use tokio::time::Instant;
use tower_linger::Limits;

use crate::scene::{Running, SECOND};

#[tokio::test(start_paused = true)]
async fn the_server_waits_a_moment_where_no_descriptor_is_left() {
    let server = Running::limited(Limits::default());
    let began = Instant::now();
    for _ in 0..3 {
        server.network.fail(io::Error::from_raw_os_error(nix::libc::EMFILE));
    }
    let _hello = server.network.connect().get().await;
    assert_eq!(began.elapsed(), 3 * SECOND / 10);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ended_before_its_accept_delays_no_other() {
    let server = Running::limited(Limits::default());
    let began = Instant::now();
    server.network.fail(io::ErrorKind::ConnectionAborted.into());
    let _hello = server.network.connect().get().await;
    assert!(began.elapsed().is_zero());
}
