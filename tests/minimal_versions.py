#!/usr/bin/env python3
"""Do the published crates compile with the oldest versions of their dependencies that their manifests allow? Who has such a
version in a lock file gets no newer one when they add a crate of ours. Compiles all of them once more, in target/minimal.

Only what the manifests name is taken in its oldest version: what those crates need in turn is theirs to state.
"""
import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve() / "minimal"

# Frameworks that need newer versions of crates that we name ourselves. Where they are used, cargo takes those; everybody else may
# keep an older one, so that it is not for us to ask for it. By feature and crate.
NEWER = {"salvo": "salvo_core", "tonic": "tonic"}


def without(feature, crate, manifest):
    manifest = re.sub(rf"(?m)^({crate}|{feature}) = .*\n", "", manifest)
    return re.sub(rf'"{feature}"(, )?', "", manifest)


def without_tests(manifest):
    """Tests may need newer versions. Users do not compile them."""
    tables = re.split(r"(?m)^(?=\[)", manifest)
    kept = [table for table in tables if not re.match(r"\[(target\.[^\n]*\.)?dev-dependencies|\[\[(test|bench)\]\]", table)]
    return "".join(kept)


def main():
    place = WORK / "workspace"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(ROOT / "crates", place / "crates", ignore=shutil.ignore_patterns("tests", "target"))
    for file in ["README.md", "LICENSE-MIT", "LICENSE-APACHE"]:
        shutil.copy(ROOT / file, place)
    for manifest in place.glob("crates/*/Cargo.toml"):
        text = without_tests(manifest.read_text())
        for feature, crate in NEWER.items():
            text = without(feature, crate, text)
        manifest.write_text(text)
    root = (ROOT / "Cargo.toml").read_text()
    root = re.sub(r"(?m)^members = .*$", 'members = ["crates/*"]', root)
    (place / "Cargo.toml").write_text(root)
    # The flag is for nightly compilers, or for one that takes unstable flags. Only cargo gets it, so nothing else behaves differently.
    environment = os.environ | {"RUSTC_BOOTSTRAP": "1"}
    subprocess.run(["cargo", "generate-lockfile", "-Z", "direct-minimal-versions"], cwd=place, env=environment, check=True)
    command = ["cargo", "check", "--locked", "--workspace", "--all-features", "--target-dir", WORK]
    subprocess.run(command, cwd=place, check=True)


if __name__ == "__main__":
    main()
