#!/usr/bin/env python3
"""Do the values of these manifests fit together? A schema cannot know that the sum of some has to fit into another.

usage: check.py DIRECTORY      (the directory that has kubernetes/ and compose/; needs PyYAML)
"""
import re
import sys
from pathlib import Path

import yaml

# What is left for the process to end, once the server has cut its last connection.
MARGIN = 5

problems = []


def expect(true, what):
    if not true:
        problems.append(what)


def seconds(text):
    """`10s`, `1m`, `1m30s`: without a unit, it is not a duration."""
    parts = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", str(text))
    if not parts or not any(parts.groups()):
        sys.exit(f"{text!r} is no duration such as 10s or 1m30s")
    minutes, rest = (int(part or 0) for part in parts.groups())
    return 60 * minutes + rest


def port(address):
    return int(address.rpartition(":")[2])


def check_kubernetes(directory):
    resources = {}
    for path in sorted(directory.glob("*.yaml")):
        resources.update({resource["kind"]: resource for resource in yaml.safe_load_all(path.read_text())})
    deployment = resources["Deployment"]["spec"]
    pod = deployment["template"]["spec"]
    (server,) = pod["containers"]
    environment = {variable["name"]: variable["value"] for variable in server["env"]}
    notice, limit = seconds(environment["SERVER_NOTICE"]), seconds(environment["SERVER_LIMIT"])
    pre_stop = server["lifecycle"]["preStop"]["sleep"]["seconds"]
    granted, needed = pod["terminationGracePeriodSeconds"], pre_stop + notice + limit + MARGIN
    total = f"preStop {pre_stop} + notice {notice} + limit {limit} + margin {MARGIN} = {needed}"
    expect(granted >= needed, f"terminationGracePeriodSeconds is {granted}; {total}")
    check_probes(server, environment, notice)
    check_replicas(resources, deployment)
    return environment, deployment["replicas"]


def check_probes(server, environment, notice):
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}
    expect(ports["http"] == port(environment["SERVER_LISTEN"]), "the port `http` is not SERVER_LISTEN's")
    expect(ports["admin"] == port(environment["SERVER_ADMIN"]), "the port `admin` is not SERVER_ADMIN's")
    ready, live = server["readinessProbe"], server["livenessProbe"]
    for name, probe in [("readiness", ready), ("liveness", live)]:
        expect(probe["httpGet"]["port"] == "admin", f"the {name} probe does not ask the port `admin`")
    expect(
        ready["httpGet"]["path"] != live["httpGet"]["path"],
        "readiness and liveness ask the same path: a server in its notice would be killed",
    )
    noticed = ready["periodSeconds"] * ready["failureThreshold"] + ready["timeoutSeconds"]
    expect(noticed < notice, f"readiness takes {noticed} s to fail, and the notice is over after {notice} s")


def check_replicas(resources, deployment):
    update, replicas = deployment["strategy"]["rollingUpdate"], deployment["replicas"]
    surges = update["maxUnavailable"] == 0 and update["maxSurge"] >= 1
    expect(surges, "the update takes a pod away before there is a new one")
    expect(replicas >= 2, "one replica cannot be replaced without a gap")
    budget = resources["PodDisruptionBudget"]["spec"]
    spare = budget["maxUnavailable"] if "maxUnavailable" in budget else replicas - budget["minAvailable"]
    expect(0 < spare < replicas, f"the PodDisruptionBudget lets {spare} of {replicas} replicas go")
    labels = deployment["template"]["metadata"]["labels"].items()
    service = resources["Service"]["spec"]
    for kind, selector in [
        ("Deployment", deployment["selector"]["matchLabels"]),
        ("PodDisruptionBudget", budget["selector"]["matchLabels"]),
        ("Service", service["selector"]),
    ]:
        expect(selector.items() <= labels, f"the {kind} does not select the pods: {selector}")
    (server,) = deployment["template"]["spec"]["containers"]
    names = {port["name"] for port in server["ports"]}
    for target in service["ports"]:
        name = target["targetPort"]
        expect(name in names, f"the Service leads to a port {name!r} that no container has")


def check_compose(directory, kubernetes, replicas):
    server = yaml.safe_load((directory / "compose.yaml").read_text())["services"]["server"]
    environment = server["environment"]
    notice, limit = seconds(environment["SERVER_NOTICE"]), seconds(environment["SERVER_LIMIT"])
    granted, needed = seconds(server["stop_grace_period"]), notice + limit + MARGIN
    total = f"notice {notice} + limit {limit} + margin {MARGIN} = {needed}"
    expect(granted >= needed, f"stop_grace_period is {granted}; {total}")
    for name in kubernetes.keys() | environment.keys():
        here, there = environment.get(name), kubernetes.get(name)
        expect(here == there, f"{name} is {here} for Compose and {there} for Kubernetes")
    expect(server["deploy"]["replicas"] == replicas, "Compose and Kubernetes have different numbers of replicas")
    balancer = (directory / "haproxy.cfg").read_text()
    template = re.search(r"^ *server-template \S+ (\d+) server:(\d+)", balancer, re.MULTILINE)
    expect(int(template[1]) >= replicas, f"haproxy.cfg has {template[1]} places for {replicas} replicas")
    listen = port(environment["SERVER_LISTEN"])
    expect(int(template[2]) == listen, "haproxy.cfg sends requests to another port than SERVER_LISTEN's")
    check = re.search(r"check port (\d+) inter (\d+)s fall (\d+)", balancer)
    admin = port(environment["SERVER_ADMIN"])
    expect(int(check[1]) == admin, "haproxy.cfg checks another port than SERVER_ADMIN's")
    noticed = int(check[2]) * int(check[3]) + int(re.search(r"timeout check (\d+)s", balancer)[1])
    expect(noticed < notice, f"HAProxy takes {noticed} s to see that a replica goes, of a notice of {notice} s")


def check_descriptors(directory):
    """HAProxy takes two descriptors for each connection and does not start without them; `haproxy -c` cannot know."""
    limit = yaml.safe_load((directory / "compose.yaml").read_text())["services"]["balancer"]["ulimits"]["nofile"]
    connections = int(re.search(r"^ *maxconn (\d+)", (directory / "haproxy.cfg").read_text(), re.MULTILINE)[1])
    expect(limit > 2 * connections + 100, f"HAProxy may have {limit} descriptors, for {connections} connections")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    directory = Path(sys.argv[1])
    try:
        check_compose(directory / "compose", *check_kubernetes(directory / "kubernetes"))
        check_descriptors(directory / "compose")
    except KeyError as missing:
        problems.append(f"a manifest has no {missing}")
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(bool(problems))


main()
