#!/bin/sh
# Builds the published libraries with the oldest compiler that they promise (`rust-version` in Cargo.toml), and runs
# linger-proto's tests with it. Features of tower-linger that need a newer compiler, as tests/features.py finds out, are built
# with linger-probe's, which is newer, where rustup has it; Debian does not pack it. What needs a still newer one (`salvo`) is
# built with everything else here.
#
# usage: msrv.sh [--without-c]        (leaves out the features that compile C)
#
# The compiler is rustup's, where `rustup toolchain install 1.85` has put it. Elsewhere it is Debian's (bookworm packs 1.85.0
# as rustc-web), unpacked in the target directory, because installing it would replace other compilers. DEBIAN=1 prefers it.
set -eu
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/msrv
without_c=${1:-}
version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
unset RUSTC RUSTDOC RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER RUSTFLAGS

unpack() { # FOLDER: rustc, rustdoc and cargo are called through wrappers that set LD_LIBRARY_PATH
    rm -rf "$1"
    mkdir -p "$1/packages"
    (
        cd "$1/packages"
        # The libraries are those of rustc and cargo that a Debian with Rust from elsewhere may lack.
        apt-get download -q "rustc-web=$version*" "cargo-web=$version*" "libstd-rust-web-dev=$version*" \
            "libstd-rust-web-$version" libllvm19 libz3-4 libhttp-parser2.9 libpcre3 libssh2-1
    )
    for package in "$1"/packages/*.deb; do dpkg -x "$package" "$1"; done
    rm -r "$1/packages"
    mkdir "$1/bin"
    for program in rustc rustdoc cargo; do
        cat >"$1/bin/$program" <<END
#!/bin/sh
export LD_LIBRARY_PATH=$1/usr/lib/x86_64-linux-gnu:$1/lib/x86_64-linux-gnu
exec "$1/usr/bin/$program" "\$@"
END
        chmod +x "$1/bin/$program"
    done
    touch "$1/complete"
}

if [ -z "${DEBIAN:-}" ] && rustup run "$version" rustc --version 2>/dev/null; then
    cargo() { rustup run "$version" cargo "$@"; }
elif command -v apt-get >/dev/null; then
    debian=$target/debian
    [ -e "$debian/complete" ] || unpack "$debian"
    PATH=$debian/bin:$PATH
    rustc --version
    cargo() { "$debian/bin/cargo" "$@"; }
else
    echo "no Rust $version: rustup toolchain install $version --profile minimal" >&2
    exit 1
fi

# The published libraries, and all their features but those that need a newer compiler.
promised=$(python3 -B tests/features.py --rust "$version" $without_c)
export CARGO_TARGET_DIR="$target"
set -x
# shellcheck disable=SC2086
cargo check --locked $promised
cargo test --locked -q -p linger-proto
set +x

newer=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' crates/linger-probe/Cargo.toml)
if rustup run "$newer" rustc --version 2>/dev/null; then
    promised=$(python3 -B tests/features.py --rust "$newer" $without_c)
    set -x
    # shellcheck disable=SC2086
    rustup run "$newer" cargo check --locked $promised -p linger-probe
else
    echo "linger-probe and the features left out were not built with Rust $newer, which is not installed"
fi
