#!/usr/bin/env python3
"""Could these crates be published as they are? Packages them, builds each package from what is in it, reads what
is in it, and builds their documentation as docs.rs does. Uploads nothing.

usage: publish.py -p CRATE [-p CRATE]…      (`make publish` names all that are published)
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
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
EXPECTED_WARNINGS = r"ignoring (test|bench) `|aborting upload due to dry run|crate .* already exists on crates.io index"

problems = []


def wrong(crate, what):
    problems.append(f"{crate}: {what}")


def cargo(*arguments, **environment):
    """Runs cargo, shows what it says, and notes its warnings."""
    command = ["cargo", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        expected = re.search(EXPECTED_WARNINGS, line)
        if not expected or "ignoring" not in line:
            sys.stderr.write(line)
        if line.startswith("warning: ") and not expected:
            wrong(" ".join(command[:2]), line.strip())
    if process.wait() != 0:
        sys.exit(f"{' '.join(command)} failed")


def forget_earlier_run(packages, target):
    """Cargo unpacks and compiles the packages that it has just made once for each checkout, and then takes what it has, even if
    the sources have changed since."""
    home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    for package in packages:
        # The registries of a checkout have no host in their names.
        unpacked = home.glob(f"registry/src/-*/{package['name']}-{package['version']}")
        compiled = target.glob(f"debug/.fingerprint/{package['name']}-*")
        for stale in [*unpacked, *compiled]:
            shutil.rmtree(stale)


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


def check_documentation(packages, names, target):
    """docs.rs uses a nightly compiler for its badges; this lets rustdoc, and nothing else, behave like one."""
    flags = "--cfg docsrs -D warnings"
    rustdoc = str(ROOT / "tests/docsrs.sh")
    cargo("doc", "--no-deps", "--all-features", *names, RUSTDOC=rustdoc, RUSTDOCFLAGS=flags)
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
    forget_earlier_run(packages, target)
    # Builds each package against the packages of the others, in the order in which they have to be published.
    cargo("publish", "--dry-run", "--allow-dirty", *names)
    check_documentation(packages, names, target)
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(packages)} crates could be published")


main()
