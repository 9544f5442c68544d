"""Installs the servers from Debian, PyPI and npm, and finds out their versions."""

import json
import os
import subprocess
import sys
import tomllib

from running import ROOT, ZOO
from servers import APT, PIP


def install(servers):
    """Installs what these servers need: from Debian as root, everything else below `target/zoo`."""
    kinds = {kind: sorted({s.package[1] for s in servers if s.package[0] == kind}) for kind in ("apt", "pip", "npm")}
    # Keeps Debian from starting the servers as services.
    environment = {**os.environ, "RUNLEVEL": "1", "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-q"], check=True, stdout=subprocess.DEVNULL)
    # One by one, so that a package that Debian lacks does not keep the others from being installed.
    for packages in (APT, *([name] for name in kinds["apt"])):
        command = ["apt-get", "install", "-yq", "--no-install-recommends", *packages]
        subprocess.run(command, check=False, env=environment, stdout=subprocess.DEVNULL)
    venv = ZOO / "venv"
    if not (venv / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    for packages in (PIP, *([name] for name in kinds["pip"] if name != "python")):
        subprocess.run([venv / "bin" / "pip", "install", "-q", *packages], check=False)
    node = ZOO / "node"
    node.mkdir(parents=True, exist_ok=True)
    if not (node / "package.json").exists():
        (node / "package.json").write_text('{ "private": true }\n')
    subprocess.run(["npm", "install", "--no-fund", "--no-audit", *kinds["npm"]], check=False, cwd=node)


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def version(server):
    """The version that the package itself tells."""
    kind, name = server.package
    if kind == "apt":
        # Without Debian's epoch and revision.
        return output("dpkg-query", "-W", "-f", "${Version}", name).split(":")[-1].split("-")[0].split("+")[0]
    if name == "python":
        return sys.version.split()[0]
    if kind == "pip":
        code = f"import importlib.metadata as m; print(m.version({name!r}))"
        return output(ZOO / "venv" / "bin" / "python", "-c", code)
    if kind == "npm":
        return json.loads((ZOO / "node" / "node_modules" / name / "package.json").read_text())["version"]
    if kind == "cargo":
        packages = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
        return max(package["version"] for package in packages if package["name"] == name)
    return output("node", "--version").removeprefix("v")
