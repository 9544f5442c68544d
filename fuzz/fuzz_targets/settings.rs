#![no_main]
//! Text of any kind as the configuration of a policy.

use libfuzzer_sys::fuzz_target;
use tower_linger_fuzz::settings::read;

fuzz_target!(|text: &str| read(text));
