#!/usr/bin/env python3
"""Could these crates be published as they are? Packages them, reads what is in each package, checks that it compiles from that
and is the same wherever it is made, and builds their documentation as docs.rs does. Uploads nothing.

usage: publish.py -p CRATE [-p CRATE]…      (`make publish` names all that are published)
"""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The slugs of https://crates.io/category_slugs that we use. crates.io drops a slug that it does not know.
CATEGORIES = {
    "asynchronous",
    "command-line-utilities",
    "development-tools::testing",
    "network-programming",
    "web-programming::http-server",
}
# What a package has beside its sources: `include` in the crate's manifest, and what cargo adds.
FILES = {"README.md", "LICENSE-APACHE", "LICENSE-MIT"}
FILES |= {"Cargo.toml", "Cargo.toml.orig", "Cargo.lock", ".cargo_vcs_info.json"}
SOURCES = r"src/.+\.(rs|conf|cfg|css|js|go|html|md)|schema/.+\.schema\.json"
# Features without a public item, so without a badge: they only change what the code does.
WITHOUT_ITEMS = {"default", "full", "tracing"}
# The packages leave the tests out, because most of them need a package that is not published.
EXPECTED_WARNINGS = r"patch `.*` was not used in the crate graph|ignoring (test|bench) `|aborting upload due to dry run|crate .* already exists on crates.io index"

problems = []


def wrong(crate, what):
    problems.append(f"{crate}: {what}")


def cargo(*arguments, place=ROOT, umask=-1, **environment):
    """Runs cargo, shows what it says, and notes its warnings."""
    command = ["cargo", *arguments]
    environment = os.environ | environment
    process = subprocess.Popen(command, cwd=place, env=environment, umask=umask, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        expected = re.search(EXPECTED_WARNINGS, line)
        if not expected or "ignoring" not in line:
            sys.stderr.write(line)
        if line.startswith("warning: ") and not expected:
            wrong(" ".join(command[:2]), line.strip())
    if process.wait() != 0:
        sys.exit(f"{' '.join(command)} failed")


def check_manifest(package):
    """What crates.io asks for, or drops without a word."""
    name = package["name"]
    for field in ["description", "license", "repository", "readme", "rust_version"]:
        if not package[field]:
            wrong(name, f"no {field}")
    if len(package["description"] or "") > 1000:
        wrong(name, "description is longer than 1000 characters")
    keywords, categories = package["keywords"], package["categories"]
    if not 1 <= len(keywords) <= 5 or not 1 <= len(categories) <= 5:
        wrong(name, "keywords and categories: one to five of each")
    for keyword in keywords:
        if len(keyword) > 20 or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_+-]*", keyword):
            wrong(name, f"keyword {keyword!r}: at most 20 letters, digits, `_`, `-` and `+`")
    for category in set(categories) - CATEGORIES:
        wrong(name, f"category {category!r} is not in the list of {Path(__file__).name}; does crates.io have it?")
    docs = (package["metadata"] or {}).get("docs", {}).get("rs", {})
    if docs != {"all-features": True, "rustdoc-args": ["--cfg", "docsrs"]}:
        wrong(name, f"[package.metadata.docs.rs] is {docs}")
    if "cfg_attr(docsrs, feature(doc_cfg))" not in (ROOT / "crates" / name / "src/lib.rs").read_text():
        wrong(name, "lib.rs does not turn on feature badges: #![cfg_attr(docsrs, feature(doc_cfg))]")


def check_archive(package, target):
    """What is in the package: everything that a user needs, and nothing else."""
    name, version = package["name"], package["version"]
    path = target / "package" / f"{name}-{version}.crate"
    with tarfile.open(path) as archive:
        members = {member.name.partition("/")[2]: member for member in archive}
        for file in FILES - members.keys():
            wrong(name, f"{file} is not in the package")
        for file, member in members.items():
            if not member.isfile():
                wrong(name, f"{file} is not a plain file")
            if file not in FILES and not re.fullmatch(SOURCES, file):
                wrong(name, f"{file} does not belong in the package")
        for file in ["LICENSE-APACHE", "LICENSE-MIT"]:
            if file in members and archive.extractfile(members[file]).read() != (ROOT / file).read_bytes():
                wrong(name, f"{file} is not the project's")
        readme = archive.extractfile(members["README.md"]).read().decode() if "README.md" in members else ""
    # crates.io shows the README on a page of its own, from which a path of the repository leads nowhere.
    for link in re.findall(r"\]\(([^)]+)\)|(?:src|href)=\"([^\"]+)\"", readme):
        if not re.match(r"https://|#", "".join(link)):
            wrong(name, f"README.md: {''.join(link)} must begin with https://")
    size = path.stat().st_size
    print(f"{path.name}: {len(members)} files, {size / 1024:.0f} KiB", flush=True)
    if size > 1 << 20:
        wrong(name, f"the package has {size} bytes: what is in it?")


def check_builds(packages, target):
    """Each package compiles from what is in it, with its own lock file and the packages of the others. This asks what `cargo
    publish` asks before it uploads, which compiles all that they depend on once more; here `make features` has checked it."""
    place = target / "package" / "unpacked"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    folders = {package["name"]: place / f"{package['name']}-{package['version']}" for package in packages}
    for folder in folders.values():
        # `-m`: all files in packages have one time, by which cargo would not see that they have changed since it last compiled them.
        subprocess.run(["tar", "-xzmf", target / "package" / f"{folder.name}.crate", "-C", place], check=True)
    # The profile is the workspace's.
    config = ['profile.dev.debug="line-tables-only"', 'profile.dev.package."*".debug=false', "profile.dev.build-override.debug=false"]
    config += [f'patch.crates-io.{name}.path="{folder}"' for name, folder in folders.items()]
    words = [word for line in config for word in ("--config", line)]
    for folder in folders.values():
        cargo("check", "--target-dir", str(target), *words, place=folder)
        print(f"{folder.name}: compiles from its package", flush=True)


def check_reproducible(packages, names):
    """Two clones of this commit, in folders of other names and depths, with files of other times, give the same packages, byte by
    byte, to people with other masks, languages and time zones."""
    makers = {
        "a": {"umask": 0o022, "LC_ALL": "C", "TZ": "UTC", "CARGO_BUILD_JOBS": "1"},
        "elsewhere/and/deeper": {"umask": 0o077, "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu", "CARGO_BUILD_JOBS": "2"},
    }
    with tempfile.TemporaryDirectory() as folder:
        made = []
        for name, maker in makers.items():
            clone = Path(folder) / name
            subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True, umask=maker["umask"])
            for path in clone.rglob("*"):
                os.utime(path, (len(made) * 10**9, len(made) * 10**9), follow_symlinks=False)
            cargo("package", "--no-verify", "--quiet", "--target-dir", str(clone / "target"), *names, place=clone, **maker)
            made.append({path.name: path.read_bytes() for path in (clone / "target/package").glob("*.crate")})
    for package in packages:
        archive = f"{package['name']}-{package['version']}.crate"
        one, other = (files[archive] for files in made)
        if one != other:
            wrong(package["name"], "two clones of one commit give different packages")
            continue
        print(f"{archive}: sha256 {hashlib.sha256(one).hexdigest()} of the commit, wherever it is packaged", flush=True)


def check_documentation(packages, target):
    """docs.rs uses a nightly compiler for its badges; this lets rustdoc, and nothing else, behave like one. The words are those of
    `make doc`, so that the dependencies are those that `make lint` has checked."""
    flags = "--cfg docsrs -D warnings"
    rustdoc = str(ROOT / "tests/docsrs.sh")
    words = ["--workspace", "--all-features", "--no-deps", "--lib", "--example", "axum"]
    cargo("doc", *words, RUSTDOC=rustdoc, RUSTDOCFLAGS=flags)
    for package in packages:
        pages = (target / "doc" / package["name"].replace("-", "_")).rglob("*.html")
        badges = set()
        for page in pages:
            for badge in re.findall(r"Available on (.{0,200}?) only", page.read_text()):
                badges.update(re.findall(r"<code>([^<]+)</code>", badge))
        for feature in package["features"].keys() - WITHOUT_ITEMS - badges:
            wrong(package["name"], f"no page says that an item needs the feature `{feature}`")
        shown = ", ".join(sorted(badges & package["features"].keys()))
        print(f"{package['name']}: badges of {shown or 'no feature'}", flush=True)


def main():
    names = sys.argv[1:]
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    metadata = json.loads(subprocess.check_output(command, cwd=ROOT))
    packages = [package for package in metadata["packages"] if package["name"] in names]
    if not packages or len(packages) * 2 != len(names):
        sys.exit(__doc__)
    target = Path(metadata["target_directory"])
    for package in packages:
        check_manifest(package)
    cargo("package", "--no-verify", "--allow-dirty", "--quiet", *names)
    for package in packages:
        check_archive(package, target)
    cargo("publish", "--dry-run", "--no-verify", "--allow-dirty", *names)
    check_builds(packages, target)
    check_reproducible(packages, names)
    check_documentation(packages, target)
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(packages)} crates could be published")


main()
