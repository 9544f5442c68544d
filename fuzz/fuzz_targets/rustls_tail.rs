#![no_main]
//! Bytes of any kind around the end of a rustls session.

use libfuzzer_sys::fuzz_target;
use tokio_rustls::TlsAcceptor;
use tower_linger_fuzz::hook::tolerate;
use tower_linger_fuzz::tail::{Case, play};

// rustls asserts in debug builds that nothing follows its close_notify. The layer catches that.
fuzz_target!(init: tolerate("/rustls-"), |case: Case| play::<TlsAcceptor>(&case));
