#!/usr/bin/env python3
"""Runs the `counts` bench, prints what the layer adds to a request and to a connection, and compares with counts.json.

Fails if a count is more than 2 % above the baseline. `UPDATE=1 make counts` writes a new baseline: do so after a change that
is meant to cost instructions, or with a new compiler, and say why in the commit.

A connection may by chance take one more turn of the event loop, when its peer's FIN arrives: a thousand instructions. So each
count is the least of up to five runs; a real increase shows in every run.
"""
import json, os, pathlib, platform, re, subprocess, sys

BOUND, RUNS, BASELINE = 1.02, 5, pathlib.Path(__file__).with_name("counts.json")
REQUESTS = {"0": 1, "1": 1001}
RESULTS = BASELINE.parent.parent / "results" / "counts.json"
KINDS, PARTS = ("plain", "tls"), ("request", "connection")


def measure():
    run = subprocess.run(
        ["cargo", "bench", "-p", "tower-linger-counts", "--bench", "counts"], stdout=subprocess.PIPE, text=True
    )
    pattern = re.compile(r"connection::(\w+) requests_(\d).*?Instructions:\s+(\d+)", re.S)
    raw = {(name, REQUESTS[case]): int(count) for name, case, count in pattern.findall(run.stdout)}
    if run.returncode or len(raw) != 8:
        sys.exit("counts: the bench failed; it needs valgrind and gungraun-runner, which `make needs` installs\n" + run.stdout[-2000:])
    return raw


def parts(raw):
    found = {}
    for name in sorted({name for name, _ in raw}):
        request = (raw[name, 1001] - raw[name, 1]) / 1000
        found[name] = {"request": round(request, 1), "connection": round(raw[name, 1] - request)}
    return found


def too_many(found, baseline, rustc):
    known = baseline["counts"]
    for kind in KINDS:
        for part in PARTS:
            layered, before = found[f"{kind}_layered"][part], known[f"{kind}_layered"][part]
            if baseline["rustc"] != rustc:
                # Another compiler changes the counts of hyper alone as well, so compare what the layer adds.
                layered /= found[f"{kind}_bare"][part]
                before /= known[f"{kind}_bare"][part]
            if layered > before * BOUND:
                yield f"{kind}, {part}: {layered / before:.3f} × the baseline (counts.json), bound {BOUND}"


rustc = subprocess.run(["rustc", "-V"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
update = bool(os.environ.get("UPDATE"))
baseline = None if update else json.loads(BASELINE.read_text())
least = measure()
for _ in range(RUNS - 1):
    if not update and not list(too_many(parts(least), baseline, rustc)):
        break
    least = {case: min(count, least[case]) for case, count in measure().items()}
found = parts(least)

print(f"instructions, {rustc}")
print(f"{'':8}{'request: bare':>16}{'layered':>10}{'ratio':>9}{'connection: bare':>20}{'layered':>10}")
for kind in KINDS:
    bare, layered = found[f"{kind}_bare"], found[f"{kind}_layered"]
    ratio = layered["request"] / bare["request"]
    print(f"{kind:8}{bare['request']:16.0f}{layered['request']:10.0f}{ratio:9.4f}"
          f"{bare['connection']:20}{layered['connection']:10}")
today = subprocess.run(["date", "+%F"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
rows = []
for kind, over in zip(KINDS, ("plain", "TLS")):
    bare, layered = found[f"{kind}_bare"], found[f"{kind}_layered"]
    ratio = layered["request"] / bare["request"]
    rows += [{"what": f"instructions of a request, layer ÷ hyper alone, {over}", "value": round(ratio, 5), "unit": "×",
              "bound": {"at_most": 1.005}}]
    rows += [{"what": f"instructions of a {part}, {who}, {over}", "value": counts[part], "unit": ""}
             for part in PARTS for who, counts in (("hyper alone", bare), ("layer", layered))]
results = {"bench": "counts", "date": today, "machine": f"{rustc}, {platform.machine()}", "rows": rows}
RESULTS.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
if update:
    BASELINE.write_text(json.dumps({"rustc": rustc, "counts": found}, indent=2) + "\n")
    sys.exit()
wrong = list(too_many(found, baseline, rustc))
print(*wrong, sep="\n", end="\n" if wrong else "")
sys.exit(bool(wrong))
