"""The mutants of tower-linger's `tracker/`, `close/` and `serve/`, as cargo-mutants lists them, against the tests that find most of them
at the least cost: `make mutants-tower-linger`, after `make interleavings`. Takes hours; what is known already is not tried again.

Each mutant is put into a copy of the repository. First come the unit tests of tower-linger with models (the interleavings) and without,
each of which is one call of rustc, and 4 000 seeds of the simulation; then, one after the other, suites of the package `tests`, until one
of them fails.

    mutants.py [--files PART] [--quick] [--minutes N]    try what is not known yet, of files whose path contains PART
    mutants.py --changed DIFF                            try all of the lines that this diff changes
    mutants.py --summary                                 what is known, as a table

It fails if no test noticed one of those that it tried. One that no test can notice stands in the list as `equivalent`, with its reason.
"""

import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from unit import REPOSITORY, compiled

# What became of each mutant: committed, one line each.
KNOWN = REPOSITORY / "docs/proof/mutants-tower-linger.tsv"
ROOMS = ["tracker", "serve", "close"]
SIMULATION = "driver"
# The suites that find most come first.
SUITES = ["served", "drop_safety", "shutdown", "bounds", "endings", "observed", "hooks", "requests", "settings", "metrics", "spans", "tunnels", "gathering"]
LONGEST = int(os.environ.get("LONGEST", 300))  # seconds that tests may take; a mutant for which they take longer is found
EQUIVALENT = "equivalent"  # the reason stands where others have what noticed them
UNTRIED = "undecided"  # units and simulation do not find it, and no suite was tried


def listed(diff=None):
    """All mutants, or those of the lines that a diff changes, room by room."""
    command = ["cargo", "mutants", "--list", "--json", "-p", "tower-linger", "-e", "**/tests.rs"]
    rooms = [word for room in ROOMS for word in ("-f", f"crates/tower-linger/src/{room}/**")]
    changed = ["--in-diff", diff] if diff else []
    mutants = json.loads(subprocess.check_output(command + rooms + changed, cwd=REPOSITORY) or "[]")
    return sorted(mutants, key=lambda it: [it["file"].split("/")[3] == room for room in reversed(ROOMS)], reverse=True)


def known():
    """By the name of the mutant, without its line: what became of it, and how that was found out."""
    lines = KNOWN.read_text().splitlines()[1:] if KNOWN.exists() else []
    return {name: (outcome, by) for outcome, by, name in (line.split("\t") for line in lines)}


def write(found):
    lines = [f"{outcome}\t{by}\t{name}\n" for name, (outcome, by) in sorted(found.items(), key=lambda it: it[0])]
    KNOWN.write_text("outcome\tby\tmutant\n" + "".join(lines))


def named(mutants):
    """Each with a name that stays when lines above it change: those of the same words in a function are numbered."""
    seen = collections.Counter()
    for mutant in mutants:
        words = mutant["name"].split(": ", 1)
        name = f"{mutant['file'].split('/src/')[1]}: {words[1]}"
        seen[name] += 1
        yield (name if seen[name] == 1 else f"{name} ({seen[name]})"), mutant


def mutated(source, mutant):
    lines = source.splitlines(keepends=True)
    offset = lambda at: sum(map(len, lines[: at["line"] - 1])) + at["column"] - 1
    span = mutant["span"]
    return source[: offset(span["start"])] + mutant["replacement"] + source[offset(span["end"]) :]


def fails(command, tree, environment):
    """Whether these tests fail, or do not end."""
    process = subprocess.Popen(command, cwd=tree, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait(LONGEST) != 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
        return True


def judged(tree, state, is_quick):
    environment = os.environ | {"RUST_BACKTRACE": "0", "INTERLEAVINGS": "40", "SEEDS": "4000", "CARGO_INCREMENTAL": "1"}
    tests = compiled(tree, incremental=state, quiet=True)
    if not tests:
        return "unviable", "rustc"
    skipped = ["--skip", "sampling::tests", "--skip", "costs"]  # not with the models
    if fails([tests, "interleavings::", "tracker::", "close::listener", "serve::exchanges", *skipped], tree, environment):
        return "caught", "interleavings"
    tests = compiled(tree, models=False, incremental=state, quiet=True)
    if not tests:
        return "unviable", "rustc"
    if fails([tests], tree / "crates/tower-linger", environment):
        return "caught", "unit tests"
    for suite in [SIMULATION, *([] if is_quick else SUITES)]:
        command = ["cargo", "test", "-q", "--workspace", "--all-features", "--target-dir", state / "target", "--test", suite]
        if subprocess.run([*command, "--no-run"], cwd=tree, env=environment, capture_output=True).returncode != 0:
            return "unviable", "rustc"
        if fails(command, tree, environment):
            return "caught", suite
    return (UNTRIED if is_quick else "missed"), "-"


def linked(source, copy):
    try:
        os.link(source, copy)
    except OSError:  # another file system
        shutil.copy2(source, copy)


def prepare(target):
    """The crates of others need not be compiled again, so they are linked, and what cargo knows of them is copied."""
    ours, debug = "*linger*", REPOSITORY / "target/debug"
    shutil.copytree(debug / "deps", target / "debug/deps", copy_function=linked, ignore=shutil.ignore_patterns(ours))
    for folder in ["build", ".fingerprint"]:
        shutil.copytree(debug / folder, target / "debug" / folder, ignore=shutil.ignore_patterns(ours), symlinks=True)


def summary():
    found = known()
    rooms = collections.defaultdict(collections.Counter)
    for name, (outcome, _) in found.items():
        rooms[name.split("/")[0]][outcome] += 1
    total = collections.Counter(name.split("/")[0] for name, _ in named(listed()))
    outcomes = ["caught", "unviable", EQUIVALENT, "missed", UNTRIED]
    print("| room | mutants |", " | ".join(outcomes), "| not tried |\n|---|" + "---|" * (len(outcomes) + 2))
    for room in ROOMS:
        counts = [rooms[room][outcome] for outcome in outcomes]
        print(f"| `{room}/` | {total[room]} |", " | ".join(map(str, counts)), f"| {total[room] - sum(counts)} |")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--files", default="")
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--minutes", type=float, default=24 * 60)
    arguments.add_argument("--tree", type=Path, default=Path(tempfile.gettempdir()) / "tower-linger-mutants")
    arguments.add_argument("--changed", type=Path)
    arguments.add_argument("--summary", action="store_true")
    options = arguments.parse_args()
    if options.summary:
        return summary()
    until = time.monotonic() + options.minutes * 60
    tree, state = options.tree / "tree", options.tree / "state"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(REPOSITORY, tree, ignore=shutil.ignore_patterns("target", ".git"))
    state.mkdir(parents=True, exist_ok=True)
    if not (state / "target").exists():
        prepare(state / "target")
    found = known()
    # Of a line that was changed, nothing is known any more.
    anew = lambda name: options.changed and found.get(name, ["new"])[0] != EQUIVALENT
    done = lambda name: name in found and (options.quick or found[name][0] != UNTRIED) and not anew(name)
    todo = [(name, it) for name, it in named(listed(options.changed)) if options.files in name and not done(name)]
    missed = []
    for count, (name, mutant) in enumerate(todo, 1):
        if time.monotonic() > until:
            break
        path = tree / mutant["file"]
        whole, began = path.read_text(), time.monotonic()
        path.write_text(mutated(whole, mutant))
        try:
            found[name] = judged(tree, state, options.quick)
        finally:
            path.write_text(whole)
        write(found)
        missed += [name] if found[name][0] == "missed" else []
        print(f"{count}/{len(todo)} {time.monotonic() - began:.0f} s", *found[name], name, flush=True)
    summary()
    if missed:
        sys.exit("\n".join(["no test noticed:", *missed]))


if __name__ == "__main__":
    sys.exit(main())
