#!/bin/sh
# A RUSTC_WRAPPER that has libFuzzer see which branches the crates of this repository take, and what they compare. What they
# depend on is compiled as usual: the fuzzer looks for ways through our code then, and less is compiled. The flags are
# cargo-fuzz's, and all of them are stable. Where cargo-fuzz itself is at work, it passes them to everything.
crates=$(cd "$(dirname "$0")/../crates" && pwd)
case "${CARGO_MANIFEST_DIR:-} $*" in
*sancov-module*) ;;
"$crates"/*)
    exec "$@" -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0
    ;;
esac
exec "$@"
