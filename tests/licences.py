#!/usr/bin/env python3
"""Counts the licences of what the published crates depend on, and writes the table in docs/dependencies.md anew."""
import collections
import datetime
import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/dependencies.md"
BEGIN, END = "<!-- begin: written by tests/licences.py -->\n", "<!-- end -->"


def reached(nodes, roots):
    """What is compiled with these packages, for them or for build scripts, on any system."""
    found, left = set(), list(roots)
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            dependencies = nodes[node]["deps"]
            left += [it["pkg"] for it in dependencies if any(kind["kind"] != "dev" for kind in it["dep_kinds"])]
    return found


def one_spelling(licence):
    """`MIT/Apache-2.0` is an old spelling of OR, and the order of alternatives has no meaning."""
    licence = re.sub(r" ?/ ?", " OR ", licence)
    return licence if "(" in licence or " AND " in licence else " OR ".join(sorted(licence.split(" OR ")))


def main():
    command = ["cargo", "metadata", "--format-version", "1", "--all-features", "--locked"]
    metadata = json.loads(subprocess.check_output(command, cwd=ROOT))
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    members = set(metadata["workspace_members"])
    published = {member for member in members if packages[member]["publish"] is None}
    library = {member for member in published if packages[member]["name"] == "tower-linger"}
    count = {}
    for name, roots in [("library", library), ("all", published)]:
        dependencies = reached(nodes, roots) - members
        count[name] = collections.Counter(one_spelling(packages[it]["license"]) for it in dependencies)
    rows = ["| licence | of tower-linger | of all four crates |", "|---|---|---|"]
    for licence, number in sorted(count["all"].items(), key=lambda it: (-it[1], it[0])):
        rows.append(f"| {licence} | {count['library'][licence]} | {number} |")
    rows += [f"| together | {count['library'].total()} | {count['all'].total()} |"]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    title = "Crates by licence, with all features and for all systems, as the lock file had them on "
    title += f"{datetime.date.today()}:"
    PAGE.write_text(before + BEGIN + "\n".join([title, "", *rows]) + "\n" + END + after)


main()
