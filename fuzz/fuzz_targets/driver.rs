#![no_main]
//! Connections of the layer over a transport that fails, stalls and wakes as these bytes say.

use libfuzzer_sys::fuzz_target;
use tower_linger_simulation::Choices;
use tower_linger_simulation::driver::{Options, run};

fuzz_target!(|bytes: &[u8]| {
    let Err(broken) = run(Choices::of_bytes(bytes), Options::default()) else { return };
    // Once more, because a trace costs more than the run.
    let options = Options { is_traced: true, ..Options::default() };
    let traced = run(Choices::of_record(broken.record), options).err();
    let trace = traced.map(|broken| broken.trace.join("\n")).unwrap_or_default();
    panic!("{}\n{trace}", broken.what);
});
