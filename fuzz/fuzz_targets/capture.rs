#![no_main]
//! Bytes of any kind as a capture file.

use libfuzzer_sys::fuzz_target;
use tower_linger_fuzz::capture::take;

fuzz_target!(|bytes: &[u8]| take(bytes));
