#!/bin/sh
# Writes what each published crate consists of as a software bill of materials: target/sbom/NAME.cdx.json, in the format of
# CycloneDX, and checks it against the format's schema and against Cargo.lock. A release has these files beside its source.
set -eu
cd "$(dirname "$0")/.."
work=$(realpath -m "${CARGO_TARGET_DIR:-target}")/sbom
rm -rf "$work"/*.cdx.json
mkdir -p "$work"
python=$work/venv/bin/python
validator='cyclonedx-python-lib[json-validation]==11.12.0'
if [ "$(cat "$work/installed.txt" 2>/dev/null)" != "$validator" ]; then
    rm -rf "$work/venv"
    python3 -m venv "$work/venv"
    "$python" -m pip install -q --disable-pip-version-check "$validator"
    echo "$validator" >"$work/installed.txt"
fi

# A file beside each manifest of the workspace. Of those, the published crates' are kept.
cargo cyclonedx --format json --spec-version 1.5 --all-features --target all --quiet
for manifest in crates/*/Cargo.toml; do
    folder=$(dirname "$manifest")
    mv "$folder/$(basename "$folder").cdx.json" "$work/"
done
git ls-files --others --ignored --exclude='*.cdx.json' -z -- crates tests examples benches | xargs -0r rm -f
"$python" -B tests/sbom.py "$work"
