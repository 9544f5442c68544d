#![no_main]
//! Bytes of any kind as a capture file and a key log, judged and rendered.

use libfuzzer_sys::fuzz_target;
use tower_linger_fuzz::capture::read;

fuzz_target!(|bytes: &[u8]| read(bytes));
