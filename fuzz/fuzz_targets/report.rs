#![no_main]
//! A report of any kind in all formats.

use libfuzzer_sys::fuzz_target;
use tower_linger_fuzz::report::{Case, run};

fuzz_target!(|case: Case| run(case));
