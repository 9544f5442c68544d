#!/usr/bin/env python3
"""Prints, as arguments for cargo, the published libraries and all their features but those that are ruled out.

  --rust VERSION   rules out features with a dependency that declares a newer compiler than VERSION
  --without-c      rules out features with a dependency that compiles C on some system

What a feature needs is read from cargo, so no list has to be kept. The features ruled out are named on stderr.
"""
import argparse
import json
import subprocess
import sys


def cargo(*words):
    return subprocess.run(["cargo", *words, "--locked"], check=True, stdout=subprocess.PIPE, text=True).stdout


def version(text):
    return [int(part) for part in text.split(".")]


def dependencies(package, feature, everywhere):
    words = ["tree", "-p", package, "--no-default-features", "--features", feature, "-e", "normal,build"]
    words += ["--target", "all"] if everywhere else []
    lines = cargo(*words, "--prefix", "none", "--format", "{p}").splitlines()
    return {tuple(line.split()[:2]) for line in lines}


parser = argparse.ArgumentParser()
parser.add_argument("--rust")
parser.add_argument("--without-c", action="store_true")
wanted = parser.parse_args()

packages = json.loads(cargo("metadata", "--format-version", "1"))
members = set(packages["workspace_members"])
packages = packages["packages"]
needs = {(p["name"], "v" + p["version"]): p["rust_version"] for p in packages if p["rust_version"]}
# linger-probe is an application, and promises less.
oldest = min((p["rust_version"] for p in packages if p["id"] in members), key=version)
libraries = [p for p in packages if p["id"] in members and p["publish"] is None and p["rust_version"] == oldest]

chosen = []
for library in libraries:
    for feature in library["features"]:
        found = dependencies(library["name"], feature, wanted.without_c)
        newer = [] if wanted.rust is None else sorted(
            name for name, number in found if version(needs.get((name, number), "0")) > version(wanted.rust + ".0"))
        c = wanted.without_c and any(name == "cc" for name, _ in found)
        if newer or c:
            print(f"left out: {library['name']}/{feature}:", ", ".join(newer) if newer else "compiles C", file=sys.stderr)
        else:
            chosen.append(f"{library['name']}/{feature}")
print(*(word for library in libraries for word in ("-p", library["name"])), "--features", ",".join(chosen))
