#!/bin/sh
# Compiles the published libraries for systems that this machine cannot run, and tests them on two that it can: Linux on a
# 32-bit processor, and Linux with musl. Then it compares what it saw with the table of systems in docs/stacks.md.
#
# rustup adds the standard library of each system to the compiler in use. Features whose dependencies compile C are left out of
# what is only compiled, because they would need a C compiler for that system. The tests need gcc-multilib and musl-tools
# (`make targets` installs them), Python, and the right to make network namespaces.
set -eu
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
compiled="x86_64-unknown-freebsd aarch64-apple-darwin x86_64-pc-windows-msvc s390x-unknown-linux-gnu aarch64-linux-android \
x86_64-unknown-illumos x86_64-unknown-netbsd"
run="i686-unknown-linux-gnu x86_64-unknown-linux-musl"
unset RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER RUSTFLAGS

# shellcheck disable=SC2086
rustup target add $compiled $run

libraries=$(python3 -B tests/features.py --without-c)
targets=""
for triple in $compiled; do targets="$targets --target $triple"; done
set -x
# The messages tell which files were compiled for which system.
# shellcheck disable=SC2086
cargo check --locked --message-format json-render-diagnostics $libraries $targets >"$target/compiled.json"

# Libraries in C are a feature of the tests, which is left out here. gcc compiles what rustls' provider has of C.
for triple in $run; do
    # shellcheck disable=SC2086
    cargo test --locked -q --no-fail-fast --target "$triple" $libraries -p tower-linger-tests --lib --test bounds --test cut --test drop_safety \
        --test endings --test gathering --test model --test policy --test serve --test shutdown --test systems --test transports \
        --test wire_tcp --test wire_tls
done
# With the last of these, because everything that it needs is built.
# shellcheck disable=SC2086
COMPILED=$target/compiled.json cargo test --locked -q --target "$triple" $libraries -p tower-linger-tests --test compiled_systems each_column
