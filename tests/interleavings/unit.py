"""The unit tests of tower-linger, compiled as cargo has compiled them for tests/portable.sh: one call of rustc.

As a program it compiles them with the models of locks, atomics and time, and runs those whose names contain the arguments.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TARGET = (REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target") / "debug").resolve()
MODELS = "tower_linger_shuttle"
# The arguments that tell cargo, and where cargo wants the result.
CARGOS = re.compile(r" (--error-format|--json|--emit)=\S+| -C extra-filename=\S+| -C incremental=\S+| --out-dir \S+")


def compiled(tree=REPOSITORY, models=True, incremental=None, quiet=False):
    """The program of the tests of this tree; None if they do not compile. The crates below are those of this repository."""
    command = CARGOS.sub("", (TARGET / "interleavings.command").read_text())
    command = re.sub(r"(?<=CARGO_MANIFEST_DIR=).*", f'"{tree}/crates/tower-linger"', command).rstrip()
    program = (incremental or TARGET) / ("interleavings" if models else "unit")
    command += f" --cap-lints=allow -o {program}" + (f" --cfg {MODELS}" if models else "")
    if incremental:
        command += f" -C incremental={incremental / program.name}.state"
    done = subprocess.run(["bash", "-c", command], cwd=tree, stderr=subprocess.DEVNULL if quiet else None)
    return program if done.returncode == 0 else None


if __name__ == "__main__":
    tests = compiled() or sys.exit("the tests of tower-linger do not compile")
    os.execv(tests, [str(tests), "--nocapture", *sys.argv[1:]])
