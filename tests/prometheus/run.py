#!/usr/bin/env python3
"""A real Prometheus scrapes the example server `metrics` while clients end their connections in all kinds of ways.

Then: promtool accepts the metrics, the alert rules and their tests. Each metric that the documentation lists was scraped. Each query
of the dashboard returns data. Each rule is evaluated, and the alert on evictions, which the clients cause, fires. Needs
Debian's package prometheus, and the example, which `make prometheus` builds. Everything is on loopback and bounded in time.
"""
import json, pathlib, re, subprocess, sys, tempfile, threading, time, urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import clients
from processes import Example, Prometheus

ROOT = pathlib.Path(__file__).parents[2]
METRICS = ROOT / "docs" / "metrics"
PATIENCE = 90  # seconds, for everything that has to come about in Prometheus


def wait_for(what, look):
    """Looks until there is no complaint, which is what `look` returns."""
    deadline = time.monotonic() + PATIENCE
    while complaint := look():
        if time.monotonic() > deadline:
            sys.exit(f"prometheus: not within {PATIENCE} s: {what}: {complaint}")
        time.sleep(0.2)
    print(f"{what}: ok", flush=True)


def promtool(*command, stdin=None):
    run = subprocess.run(["promtool", *command], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    if run.returncode:
        sys.exit(f"promtool {' '.join(map(str, command[:2]))} failed:\n{run.stdout.strip()}")
    print(f"promtool {command[0]} {command[1]}: ok", flush=True)


def documented():
    """The metrics in the table of the documentation, each with its kind."""
    page = (ROOT / "crates/tower-linger/src/metrics.rs").read_text()
    rows = dict(re.findall(r"^//! \| `(tower_linger_\w+)` \| (\w+)", page, re.M))
    assert len(rows) >= 8, rows
    return rows


def dashboard():
    """The queries of the dashboard, with its variables replaced as Grafana does it."""
    board = json.loads((METRICS / "dashboard.json").read_text())
    variables = {"$listener": ".*", "$__rate_interval": "10s"}
    for panel in board["panels"]:
        for target in panel["targets"]:
            query = target["expr"]
            for name, value in variables.items():
                query = query.replace(name, value)
            assert "$" not in query, query
            yield panel["title"], query
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
            yield variable["label"], f'group by ({label}) ({metric}{{{label}!=""}})'


def check_names(queries):
    """What the rules and the dashboard name exists: a query for anything else is valid, and finds nothing."""
    text = "\n".join([(METRICS / "alerts.yml").read_text(), *(query for _, query in queries)])
    named = set(re.findall(r"tower_linger_\w+", text)) - {"tower_linger"}
    wrong = {name for name in named if re.sub("_(bucket|sum|count)$", "", name) not in documented()}
    sources = {"outcome": ["linger-proto/src/outcome.rs"], "reason": ["linger-proto/src/failure_name.rs", *(f"tower-linger/src/tls/{name}.rs" for name in ("error", "library", "rustls"))]}
    for label, files in sources.items():
        known = {"none", *(name for file in files for name in re.findall(r'=> "(\w+)"', (ROOT / "crates" / file).read_text()))}
        for values in re.findall(label + r'[=!]~?"([^"]*)"', text):
            wrong |= {f"{label} {value}" for value in values.split("|")} - {f"{label} {value}" for value in known}
    if wrong:
        sys.exit(f"prometheus: the dashboard or the rules name what does not exist: {sorted(wrong)}")


def check(prometheus, metrics):
    wait_for("the server is scraped", lambda: prometheus.query('up{job="app"} == 1') == [] and "no target is up")

    def unscraped():
        known = prometheus.get("metadata", limit=1000)
        return [name for name, kind in documented().items() if known.get(name, [{}])[0].get("type") != kind]

    wait_for(f"the {len(documented())} documented metrics are scraped", unscraped)
    queries = list(dashboard())
    check_names(queries)
    names = {name for _, query in queries for name in re.findall(r"tower_linger_\w+", query)}
    missing = [name for name in documented() if not any(used.startswith(name) for used in names)]
    if missing:
        sys.exit(f"prometheus: the dashboard does not show {missing}")
    wait_for(f"the {len(queries)} queries of the dashboard return data",
             lambda: [title for title, query in queries if not prometheus.has_numbers(query)])

    def unhealthy():
        rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
        return [rule["name"] for rule in rules if rule["health"] != "ok"] or (not rules and "no rules")

    wait_for("the alert rules are evaluated", unhealthy)

    def silent():
        alerts = prometheus.get("alerts")["alerts"]
        fires = any(it["labels"]["alertname"] == "TowerLingerEvictions" and it["state"] == "firing" for it in alerts)
        return not fires and alerts or (not fires and "no alert")

    wait_for("the alert on evictions fires", silent)
    with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=10) as response:
        promtool("check", "metrics", stdin=response.read().decode())


def main():
    promtool("check", "rules", METRICS / "alerts.yml")
    promtool("test", "rules", METRICS / "alerts_test.yml")
    with tempfile.TemporaryDirectory() as folder, Example(ROOT, folder) as example, \
            Prometheus(folder, example.metrics, METRICS / "alerts.yml") as prometheus:
        enough = threading.Event()
        traffic = threading.Thread(target=clients.run, args=(example.address, enough))
        traffic.start()
        try:
            check(prometheus, example.metrics)
        finally:
            enough.set()
            traffic.join()


main()
