#!/usr/bin/env python3
"""Runs the `counts` bench, prints what the layer adds to a request and to a connection, and compares with counts.json.

Fails where a count is more than 2 % above the baseline. `UPDATE=1 make counts` writes the baseline anew: do so after a change
that is meant, or with a new compiler, and say why in the commit.
"""
import json, os, pathlib, re, subprocess, sys

BOUND, BASELINE = 1.02, pathlib.Path(__file__).with_name("counts.json")
REQUESTS = {"0": 100, "1": 1100}

run = subprocess.run(
    ["cargo", "bench", "-p", "tower-linger-benches", "--bench", "counts"], stdout=subprocess.PIPE, text=True
)
if run.returncode:
    sys.exit("counts: the bench failed; it needs valgrind and gungraun-runner (`make needs`)\n" + run.stdout[-2000:])
pattern = re.compile(r"connection::(\w+) requests_(\d).*?Instructions:\s+(\d+)", re.S)
raw = {(name, REQUESTS[case]): int(count) for name, case, count in pattern.findall(run.stdout)}
found = {}
for name in sorted({name for name, _ in raw}):
    few, many = raw[name, 100], raw[name, 1100]
    request = (many - few) / 1000
    found[name] = {"request": round(request, 1), "connection": round(few - 100 * request)}
if len(found) != 4:
    sys.exit("counts: the bench printed something else than expected\n" + run.stdout[-2000:])

rustc = subprocess.run(["rustc", "-V"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
print(f"instructions, {rustc}")
print(f"{'':8}{'request: bare':>16}{'layered':>10}{'ratio':>9}{'connection: bare':>20}{'layered':>10}")
for kind in ("plain", "tls"):
    bare, layered = found[f"{kind}_bare"], found[f"{kind}_layered"]
    ratio = layered["request"] / bare["request"]
    print(f"{kind:8}{bare['request']:16.0f}{layered['request']:10.0f}{ratio:9.4f}"
          f"{bare['connection']:20}{layered['connection']:10}")

if os.environ.get("UPDATE"):
    BASELINE.write_text(json.dumps({"rustc": rustc, "counts": found}, indent=2) + "\n")
    sys.exit()
baseline = json.loads(BASELINE.read_text())
known, wrong = baseline["counts"], False
for kind in ("plain", "tls"):
    for what in ("request", "connection"):
        layered, before = found[f"{kind}_layered"][what], known[f"{kind}_layered"][what]
        if baseline["rustc"] != rustc:
            # Another compiler changes both: then what counts is what the layer adds to a request. A bare connection is so little
            # that a turn of the event loop more or less, which is luck, is half of it.
            if what == "connection":
                continue
            layered /= found[f"{kind}_bare"][what]
            before /= known[f"{kind}_bare"][what]
        if layered > before * BOUND:
            print(f"{kind}, {what}: {layered / before:.3f} × the baseline (counts.json), bound {BOUND}")
            wrong = True
sys.exit(wrong)
