#!/bin/bash
# `make interleavings`: compiles the unit tests of tower-linger with models of locks, atomics and time in them, and runs those that
# try many schedules. `portable` has left behind how cargo compiles them, so that this one crate is compiled and no other.
#
# ONE is the name of one test, or a part of it; INTERLEAVINGS is how many schedules each scheduler tries, INTERLEAVINGS_SEED where
# it begins; REPLAY is a schedule that has failed.
set -eu
cd "$(dirname "$0")/../.."
# Costs nothing after `portable`.
RUSTC_WORKSPACE_WRAPPER=$PWD/tests/portable.sh cargo test -q --workspace --all-features --lib --no-run
# A test that fails prints its whole name.
name=${ONE:-}
exec python3 -B tests/interleavings/unit.py "interleavings::${name#interleavings::}"
