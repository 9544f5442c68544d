#!/bin/sh
# `rust-version` of the published crates is the true minimum: what their dependencies and their edition ask for. The
# feature `tonic` asks for more, and how much is said in the README.
set -eu
cargo metadata --format-version 1 --all-features --filter-platform x86_64-unknown-linux-gnu | python3 -c '
import json, sys
meta = json.load(sys.stdin)
packages = {p["id"]: p for p in meta["packages"]}
nodes = {n["id"]: n for n in meta["resolve"]["nodes"]}
version = lambda p: tuple(int(x) for x in ((p["rust_version"] or "1.0") + ".0").split(".")[:3])
wrong = False
apart = {"tower-linger": {"tonic"}}
for name in ("linger-proto", "tower-linger"):
    root = next(p for p in packages.values() if p["name"] == name)
    seen, todo = set(), [root["id"]]
    while todo:
        node = nodes[todo.pop()]
        for dep in node["deps"]:
            normal = any(kind["kind"] is None for kind in dep["dep_kinds"])
            left_out = packages[dep["pkg"]]["name"] in apart.get(name, ()) and node["id"] == root["id"]
            if normal and not left_out and dep["pkg"] not in seen:
                seen.add(dep["pkg"])
                todo.append(dep["pkg"])
    edition = (1, 85, 0)  # edition 2024
    needed = max([edition] + [version(packages[i]) for i in seen if i != root["id"] and not packages[i]["source"] is None])
    stated = version(root)
    verdict = "as it must be" if stated == needed else "but its dependencies need %d.%d" % needed[:2]
    print("%s: rust-version %d.%d, %s" % ((name,) + stated[:2] + (verdict,)))
    wrong |= stated != needed
sys.exit(wrong)
'
