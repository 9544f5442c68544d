#!/bin/sh
# Runs the judges of other people, with a Python that has the libraries that some of them need: `make judges`.
set -eu
cd "$(dirname "$0")/.."
requirements=tests/tests/judges/requirements.txt
work=$(realpath -m "${CARGO_TARGET_DIR:-target}")/judges
if ! cmp -s "$requirements" "$work/installed.txt"; then
    rm -rf "$work"
    python3 -m venv "$work/venv"
    "$work/venv/bin/python" -m pip install -q --disable-pip-version-check -r "$requirements"
    cp "$requirements" "$work/installed.txt"
fi
export JUDGES_PYTHON="$work/venv/bin/python"
exec cargo test --workspace --all-features --test judges "$@"
