#!/bin/bash
# A RUSTC_WORKSPACE_WRAPPER that lets this workspace count which of its lines and branches run: see tests/coverage.py. Only a
# compiler that takes unstable flags counts branches. The dependencies do not see this variable, and stay as `test` has built them.
RUSTC_BOOTSTRAP=1 exec "$@" -C instrument-coverage -Z coverage-options=branch
