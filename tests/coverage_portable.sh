#!/bin/bash
# Both wrappers in one: tests/coverage.sh and tests/portable.sh.
exec "$(dirname "$0")/coverage.sh" "$@" --cfg tower_linger_portable
