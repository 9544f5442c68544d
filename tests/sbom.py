"""Are these bills of materials valid, and do they say of each component what somebody would look for? Called by tests/sbom.sh,
with a Python that has cyclonedx-python-lib.

usage: sbom.py FOLDER
"""
import json
import sys
import tomllib
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).resolve().parent.parent


def problems(path, locked):
    text = path.read_text()
    error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    if error:
        yield f"not valid: {str(error).splitlines()[0]}"
    bill = json.loads(text)
    components = bill.get("components", [])
    if bill["metadata"]["component"]["name"] != path.name.removesuffix(".cdx.json"):
        yield f"it is of {bill['metadata']['component']['name']}"
    for component in components:
        name = (component["name"], component["version"])
        if name not in locked:
            yield f"{name} is not in Cargo.lock"
        for field in ["purl", "licenses"]:
            if not component.get(field):
                yield f"{name} has no {field}"
        if locked.get(name) and {"alg": "SHA-256", "content": locked[name]} not in component.get("hashes", []):
            yield f"{name} has not the checksum that Cargo.lock has"
    known = {component["bom-ref"] for component in [*components, bill["metadata"]["component"]]}
    for dependency in bill["dependencies"]:
        for reference in [dependency["ref"], *dependency.get("dependsOn", [])]:
            if reference not in known:
                yield f"a dependency on {reference}, which is not a component"


def main():
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    locked = {(package["name"], package["version"]): package.get("checksum") for package in lock["package"]}
    paths = sorted(Path(sys.argv[1]).glob("*.cdx.json"))
    wrong = []
    for path in paths:
        wrong += [f"{path.name}: {problem}" for problem in problems(path, locked)]
        print(f"{path.name}: {len(json.loads(path.read_text()).get('components', []))} components")
    if len(paths) != len(list((ROOT / "crates").iterdir())):
        wrong.append(f"{len(paths)} bills for the crates in crates/")
    sys.exit("\n".join(wrong) or 0)


main()
