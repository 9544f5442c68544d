#![no_main]
//! Bytes of any kind as a capture file.

#[path = "../../tests/tests/mangled/take.rs"]
mod take;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    take::take(bytes);
});
