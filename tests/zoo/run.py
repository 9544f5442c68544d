#!/usr/bin/env python3
"""Runs the probe against servers that people use, checks each row by another client, and writes the table.

run.py                   installs everything, runs everything, and rewrites the table in the probe's README
run.py NAME ...          runs these servers again, and replaces their lines
run.py --no-install      runs everything that is installed
"""

import argparse
import concurrent.futures
import datetime
import json
import signal
import subprocess
import sys

import installed
import table
from clients_by_row import BY_ROW
from running import Failed, PROBE, ZOO, prepare, started
from servers import ALL
from site_under_test import NotApplicable, Site, UPLOAD

TRIES = 5
# Where the probe and a client disagree, both try MORE times again, up to ROUNDS times, before it counts.
MORE = 20
ROUNDS = 3
# Servers that run at the same time.
JOBS = 4
# Rows that wait for the server: their tries run at the same time.
WAITING = {"early.slow", "close.idle", "tls.close_notify_idle", "h2.idle", "h2.garbage"}


def probe(site, *arguments):
    """The probe's rows by their names."""
    command = [PROBE, "check", site.url(), "--ca", site.certificate, "--format", "json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 2 or not done.stdout:
        raise Failed("the probe: " + done.stderr.strip().splitlines()[-1])
    return {row["scenario"]: row for row in json.loads(done.stdout)["targets"][0]["rows"]}


def losses(row):
    return sum(not attempt["passed"] for attempt in row["attempts"]), len(row["attempts"])


def ask(client, site, row, tries):
    """How many tries lost, of how many, and what they saw. No tries count if the row does not apply."""
    seen = []

    def once(_):
        try:
            return client(site)
        except NotApplicable:
            return None

    with concurrent.futures.ThreadPoolExecutor(tries if row in WAITING else 1) as pool:
        seen = [one for one in pool.map(once, range(tries)) if one is not None]
    return sum(lost for lost, _ in seen), len(seen), sorted({what for _, what in seen})


def confirm(site, row, judged):
    """Compares what the row's client sees with what the probe saw."""
    name, client = BY_ROW[row]
    lost, tries = losses(judged)
    client_lost, client_tries, saw = ask(client, site, row, TRIES)
    for _ in range(ROUNDS):
        if (lost > 0) == (client_lost > 0):
            break
        # The loss is a race, which may have gone well by chance.
        again = probe(site, "--only", row, "-n", str(MORE), "--deadline", "600").get(row, judged)
        lost, tries = (sum(pair) for pair in zip((lost, tries), losses(again)))
        judged = again if losses(again)[0] else judged
        more = ask(client, site, row, MORE)
        client_lost, client_tries = client_lost + more[0], client_tries + more[1]
        saw = sorted({*saw, *more[2]})
    return {
        "row": row,
        "tls": site.tls,
        "verdict": judged["verdict"],
        "severity": judged["severity"],
        "reason": judged["reason"],
        "lost": lost,
        "tries": tries,
        "client": name,
        "client_lost": client_lost,
        "client_tries": client_tries,
        "client_saw": saw,
        "agrees": (lost > 0) == (client_lost > 0),
    }


def judge(server, ports):
    """Checks all rows of a server, plain and over TLS."""
    rows, asides = [], []
    for tls, port in enumerate(ports if server.tls else ports[:1]):
        ground = ZOO / "ground"
        site = Site(port, bool(tls), str(ground / "server.pem"), str(ground / "upload"))
        for row, judged in probe(site, "--skip", "release,flood", "-n", "3", "--deadline", "240").items():
            if judged["verdict"] == "not_applicable":
                asides.append({"row": row, "tls": bool(tls), "reason": judged["reason"]})
            elif row in BY_ROW:
                rows.append(confirm(site, row, judged))
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    known = {"name": server.name, "version": installed.version(server), "date": today}
    return {**known, "rows": rows, "asides": asides}


def attempt(server):
    """The results of a server, or why there are none."""
    for _ in range(3):
        try:
            with started(server) as ports:
                return judge(server, ports)
        except (Failed, OSError) as error:
            # Another program may have taken a port that was free a moment ago.
            why = str(error)
    return why


def tell(result):
    print(f"{result['name']} {result['version']}", flush=True)
    for row in result["rows"]:
        where = "TLS" if row["tls"] else "   "
        word = "agrees" if row["agrees"] else "DISAGREES"
        ours, theirs = f"{row['lost']}/{row['tries']}", f"{row['client_lost']}/{row['client_tries']}"
        print(f"  {where} {row['row']:26} lost {ours:>5}, {row['client']} {theirs:>5}: {word}", flush=True)
        if row["lost"] or not row["agrees"]:
            print(f"        {row['reason']}")
            print(f"        {row['client']}: {' | '.join(row['client_saw'])}")


def by_name(outcome):
    return {one["name"]: one for one in outcome["results"] + outcome["gaps"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--no-install", action="store_true")
    options = parser.parse_args()
    chosen = [server for server in ALL if not options.names or server.name in options.names]
    if unknown := set(options.names) - {server.name for server in ALL}:
        sys.exit(f"no such server: {', '.join(sorted(unknown))}; there are: {', '.join(s.name for s in ALL)}")
    gaps = []
    if not options.names and not options.no_install:
        installed.install(ALL)
    prepare(UPLOAD)
    # An exit instead of a kill, so that the servers are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results = []
    # Threads are enough, because most of the time is spent on waiting.
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for server, result in zip(chosen, pool.map(attempt, chosen)):
            if isinstance(result, str):
                gaps.append({"name": server.name, "why": result})
                print(f"{server.name}\n  a gap: {result}", flush=True)
            else:
                results.append(result)
                tell(result)
    kept = ZOO / "results.json"
    if options.names and kept.exists():
        before = json.loads(kept.read_text())
        told = {name: one for name, one in by_name(before).items() if name not in options.names}
        told.update(by_name({"results": results, "gaps": gaps}))
        everything = [told[server.name] for server in ALL if server.name in told]
        results = [one for one in everything if "rows" in one]
        gaps = [one for one in everything if "why" in one]
    kept.write_text(json.dumps({"results": results, "gaps": gaps}, indent=1))
    rows = [row for result in results for row in result["rows"]]
    agreeing = sum(row["agrees"] for row in rows)
    print(f"{len(results)} servers, {len(rows)} rows, {len(rows) - agreeing} disagreements, {len(gaps)} gaps")
    table.write(results, gaps)
    sys.exit(agreeing < len(rows) or len(results) < 20)


if __name__ == "__main__":
    main()
