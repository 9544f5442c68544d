#!/bin/bash
# A RUSTC_WORKSPACE_WRAPPER that compiles this workspace as for a system that is not Linux: see `make portable`. Not for sh,
# which drops variables like CARGO_BIN_EXE_linger-probe.

# How the unit tests of tower-linger are compiled is written down, so that `make interleavings` can compile these alone once more.
if [[ " $* " == *" --crate-name tower_linger "* && " $* " == *" --test "* ]]; then
    directory=$(dirname "$(printf '%s\n' "$@" | grep -A1 -x -- --out-dir | tail -1)")
    {
        declare -px "${!CARGO_PKG_@}" "${!CARGO_MANIFEST_@}" CARGO_CRATE_NAME 2>/dev/null
        printf '%q ' "$@"
    } >"$directory/interleavings.command"
fi

exec "$@" --cfg tower_linger_portable
