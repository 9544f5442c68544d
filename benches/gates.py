#!/usr/bin/env python3
"""Compares what a connection costs with benches/gates.json: bytes, allocations, system calls and segments.

    make gates              fails if a count is above its baseline by more than its room
    UPDATE=1 make gates     writes a new baseline: after a change that is meant to cost something; say why in the commit

Instructions have `make counts`, and timers the test `closes_in_their_usual_order_arm_one_timer`. The programs are those of
`make test`, because these counts hardly depend on optimisation.
"""

import json
import os
import pathlib
import subprocess
import sys

BASELINE = pathlib.Path(__file__).with_name("gates.json")
# The bench, what its rows begin with, and by how much a count may grow.
GATES = [
    ("held", "bytes", 1.02),
    ("held", "allocations", 1.001),
    ("closes", "system calls but for epoll_wait", 1.02),
    ("closes", "segments", 1.002),
    ("closes", "resets, layer", 1),
]


def rows(bench):
    command = ["cargo", "test", "-q", "--workspace", "--all-features", "--bench", bench, "--", "--gate"]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    found = [line for line in run.stdout.splitlines() if line.startswith("{")]
    if run.returncode or not found:
        sys.exit(f"gates: the bench `{bench}` failed; `make needs` installs what it needs\n{run.stdout[-2000:]}")
    return {row["what"]: (row["value"], row["unit"]) for row in json.loads(found[-1])["rows"]}


def main():
    known = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    found = {bench: rows(bench) for bench in dict.fromkeys(bench for bench, *_ in GATES)}
    failed, baseline = [], {}
    print(f"{'':78}{'before':>12}{'now':>12}")
    for bench, begins, room in GATES:
        for what, (value, unit) in found[bench].items():
            if not what.startswith(begins):
                continue
            before = known.get(what)
            baseline[what] = round(value, 3)
            is_above = before is None or value > before * room + 1e-9
            # hyper alone is not ours; it is there to compare with.
            if is_above and "hyper alone" not in what:
                failed.append(f"{what}: {value:.3f} {unit}; the baseline is {before}, and may grow by {room}")
            print(f"{what:78}{before if before is not None else '-':>12}{value:12.3f} {unit}")
    if os.environ.get("UPDATE"):
        BASELINE.write_text(json.dumps(baseline, indent=2, ensure_ascii=False) + "\n")
    elif failed:
        sys.exit("\n".join(failed))


main()
