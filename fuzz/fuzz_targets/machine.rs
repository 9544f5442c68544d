#![no_main]
//! Events of any kind for the machine.

use libfuzzer_sys::fuzz_target;
use tower_linger_fuzz::machine::{Case, run};

fuzz_target!(|case: Case| run(&case));
