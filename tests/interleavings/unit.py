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


def command(tree=REPOSITORY, incremental=None):
    """How rustc compiles the tests of this tree with the models, and the program that comes of it. The crates below are those of this
    repository."""
    words = CARGOS.sub("", (TARGET / "interleavings.command").read_text()).rstrip()
    words = re.sub(r"(?<=CARGO_MANIFEST_DIR=).*", f'"{tree}/crates/tower-linger"', words)
    program = (incremental or TARGET) / "interleavings"
    words += f" --cap-lints=allow -o {program} --cfg {MODELS}"
    return words + (f" -C incremental={program}.state" if incremental else ""), program


def compiled(tree=REPOSITORY, incremental=None):
    """The program of the tests of this tree; None if they do not compile."""
    words, program = command(tree, incremental)
    return program if subprocess.run(["bash", "-c", words], cwd=tree).returncode == 0 else None


if __name__ == "__main__":
    tests = compiled() or sys.exit("the tests of tower-linger do not compile")
    os.execv(tests, [str(tests), "--nocapture", *sys.argv[1:]])
