#!/bin/sh
# Builds the endings server for Windows, runs it under Wine, and tests it by a client on Linux, because a client
# under Wine sees a reset as an end of file. Needs Debian with gcc-mingw-w64-x86-64 and wine64 (`make windows`
# installs them), and cargo.
set -eu
cd "$(dirname "$0")/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/windows
triple=x86_64-pc-windows-gnu

# Debian has no standard library for this target, but it has a compiler together with the library's source. They
# are unpacked here instead of installed, because they would replace the installed Rust. Cargo is the installed one.
root=$work/rust
if [ ! -e "$root/complete" ]; then
    rm -rf "$root" "$work/packages"
    mkdir -p "$root" "$work/packages"
    parts=$(apt-cache depends rustc-web libstd-rust-web-dev | sed -n 's/^ *Depends: \(libstd-rust-web.*\)/\1/p' | sort -u)
    # shellcheck disable=SC2086
    llvm=$(apt-cache depends $parts | sed -n 's/^ *Depends: \(libllvm.*\)/\1/p' | sort -u)
    # shellcheck disable=SC2086
    (cd "$work/packages" && apt-get download -q rustc-web rust-web-src $parts $llvm)
    for package in "$work/packages"/*.deb; do dpkg -x "$package" "$root"; done
    rm -r "$work/packages"
    cat >"$root/rustc" <<END
#!/bin/sh
LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu exec "$root/usr/bin/rustc" "\$@"
END
    chmod +x "$root/rustc"
    # The objects that a program for this target begins and ends with. Cargo's build of the library lacks them.
    library=$root/usr/lib/rustlib
    mkdir -p "$library/$triple/lib"
    for object in rsbegin rsend; do
        RUSTC_BOOTSTRAP=1 "$root/rustc" --crate-type lib --emit obj --target $triple \
            -o "$library/$triple/lib/$object.o" "$library/src/rust/library/rtstartup/$object.rs"
    done
    touch "$root/complete"
fi

# RUSTC_BOOTSTRAP, because building the library from source is an unstable feature. Nobody reads the program's line numbers.
CARGO_PROFILE_DEV_DEBUG=0 RUSTC=$root/rustc RUSTC_BOOTSTRAP=1 RUSTC_WRAPPER= RUSTFLAGS= CARGO_TARGET_DIR=$work/build \
    cargo build --locked -Zbuild-std=std,panic_abort --target $triple -p tower-linger-windows
server=$work/build/$triple/debug/endings-server.exe

# Small programs in C, because our crates forbid unsafe code.
compile() { x86_64-w64-mingw32-gcc -Wall -Werror -O "$@"; }
if [ -z "$(find /usr/lib /opt -name bcryptprimitives.dll -path '*wine*' 2>/dev/null)" ]; then
    compile -shared -o "$(dirname "$server")/bcryptprimitives.dll" tests/windows/ProcessPrng.c -ladvapi32
fi
compile -o "$work/CtrlEvent.exe" tests/windows/CtrlEvent.c
compile -o "$work/TcpInfo.exe" tests/windows/TcpInfo.c -lws2_32

export WINEPREFIX="$work/wine" WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml,winemenubuilder.exe='
# One Wine server for all programs, because one that starts while the last one ends sometimes fails.
mkdir -p "$WINEPREFIX"
trap 'wineserver -k || true' EXIT
wineserver -p 2>/dev/null
[ -e "$WINEPREFIX/system.reg" ] || wineboot -i

row=$work/row
rm -f "$row"
ENDINGS_SERVER="wine $server" ENDINGS_EVENT="wine $work/CtrlEvent.exe" ENDINGS_ROW="$row" \
    cargo test --locked -p tower-linger-windows -- --nocapture
wine "$work/TcpInfo.exe"
cat "$row"
ENDINGS_ROW="$row" cargo test --locked -p tower-linger-windows --test column
