#!/bin/bash
# A RUSTC_WORKSPACE_WRAPPER that compiles this workspace as for a system that is not Linux: see `make portable`. Not for sh,
# which drops variables like CARGO_BIN_EXE_linger-probe.
exec "$@" --cfg tower_linger_portable
