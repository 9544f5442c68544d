#![no_main]
//! A server of any kind for the probe.

use libfuzzer_sys::fuzz_target;
use tower_linger_fuzz::probe::{Case, run};

fuzz_target!(|case: Case| run(&case));
