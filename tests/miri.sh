#!/bin/sh
# Runs what of the libraries' tests Miri can run under Miri, which finds undefined behaviour, data races and leaks. The libraries
# forbid `unsafe`, so this looks at what they ask of the crates below them: pinned futures, wakers, tables of slots.
#
# Left out is
# - what needs more of the system than Miri has: options of sockets, packets, namespaces, resource limits, other processes,
#   libraries in C, and ring, which is in assembler. So the tests of `tests/` are left out as a whole.
# - what takes hours in an interpreter: floods of packets, and all but a few of linger-proto's random cases (`cfg!(miri)`).
# Machines whose `rustup` has no nightly with the components miri and rust-src cannot run it.
set -eux
cd "$(dirname "$0")/.."
# Tests read pages and files of this repository, and the machine's clock.
export MIRIFLAGS=-Zmiri-disable-isolation
miri="cargo +nightly miri test --locked"

$miri -p linger-proto --all-features --lib --tests
$miri -p linger-wire --lib -- --skip trace::tests::hostile --skip trace::tests::memory
$miri -p tower-linger --lib --features http,hyper,metrics,serde,tracing -- \
    --skip transport::sys --skip the_default_is_half_of_the_descriptors --skip the_defaults_pass_their_own_checks
