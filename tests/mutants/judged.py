"""Which tests reach a function, and whether they notice a mutant of it."""

import collections
import functools
import os
import re
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

# Of simulations, enough to notice most of what they can, in a second or two.
SHORT = {"SEEDS": "2000", "INTERLEAVINGS": "40", "PROPTEST_CASES": "64"}
WORKERS = (os.cpu_count() or 2) + 1  # tests wait, too
FIRST = 40  # tests that run one by one, the quickest first; those behind them run together, program by program


@dataclass(frozen=True)
class Test:
    program: str
    package: str  # where it runs
    suite: str
    name: str
    seconds: float
    reached: frozenset
    is_with_others: bool  # Rust's own harness takes several names

    @property
    def whole_name(self):
        return f"{self.suite}: {self.name}"


class Programs:
    def __init__(self, state):
        self.state = state
        state.mkdir(parents=True, exist_ok=True)
        self.environment = os.environ | SHORT | {"RUST_BACKTRACE": "0", "PROPTEST_DISABLE_FAILURE_PERSISTENCE": "true"}

    def run(self, program, package, names, seconds, mutant=None, reached=None):
        """Which of these tests fail. They all do if the program does not end in time, or ends without saying which."""
        environment = self.environment | {"CARGO_MANIFEST_DIR": package}
        environment |= {"MUTANT": str(mutant)} if mutant else {}
        environment |= {"MUTANTS_REACHED": str(reached)} if reached else {}
        with tempfile.TemporaryFile() as printed:
            process = subprocess.Popen(
                [program, "--exact", *names], cwd=package, env=environment, stdin=subprocess.DEVNULL, stdout=printed,
                stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            try:
                if process.wait(seconds) == 0:
                    return []
            except subprocess.TimeoutExpired:
                pass
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                process.wait()
            printed.seek(0)
            return re.findall(r"^test (\S+)\s+\.\.\. FAILED", printed.read().decode(errors="replace"), re.MULTILINE) or names

    def names(self, program, package):
        environment = self.environment | {"CARGO_MANIFEST_DIR": package}
        printed = subprocess.check_output([program, "--list", "--format", "terse"], cwd=package, env=environment, text=True)
        return [line.removesuffix(": test") for line in printed.splitlines() if line.endswith(": test")]

    @functools.cache
    def takes_several(self, program):
        return subprocess.run([program, "--list", "--exact", "a", "b"], capture_output=True).returncode == 0

    def tried(self, suite, program, package, name):
        """The test, with the functions that it reaches; nothing if it fails, or reaches none."""
        reached = self.state / f"{suite}-{name.replace('::', '-')}"[:200]
        reached.unlink(missing_ok=True)
        began = time.monotonic()
        fails = self.run(program, package, [name], 120, reached=reached)
        seconds = time.monotonic() - began
        if fails:
            print(f"{suite} {name} fails without a mutant", flush=True)
        elif reached.exists():
            functions = frozenset(map(int, reached.read_text().split()))
            return Test(program, package, suite, name, seconds, functions, self.takes_several(program))

    def all(self, programs, skipped=()):
        """Each test of each of these programs is run once."""
        todo = [(suite, program, package, name) for suite, program, package in programs for name in self.names(program, package)
                if not any(word in name for word in skipped)]
        with ThreadPoolExecutor(WORKERS) as pool:
            return [test for test in pool.map(lambda it: self.tried(*it), todo) if test]

    def notices(self, mutant, tests, likely):
        """The test that fails for a mutant, or nothing; those that are likely to come first."""
        tests = sorted(tests, key=lambda test: (test.whole_name not in likely, test.seconds))
        count = FIRST + sum(test.whole_name in likely for test in tests)
        suites = collections.defaultdict(list)
        for test in tests[count:]:
            suites[test.program if test.is_with_others else test].append(test)
        together = sorted(suites.values(), key=lambda some: sum(test.seconds for test in some))
        for some in [[test] for test in tests[:count]] + together:
            if by := self.fails_twice(mutant, some):
                return by

    def fails_twice(self, mutant, tests):
        """The test that fails. It has to fail twice, in case it is the machine that makes it fail."""
        program, package, suite = tests[0].program, tests[0].package, tests[0].suite
        bound = lambda tests: 6 + 8 * sum(test.seconds for test in tests)
        if fails := self.run(program, package, [test.name for test in tests], bound(tests), mutant):
            tests = [test for test in tests if test.name in fails] or tests
            if fails := self.run(program, package, [test.name for test in tests], bound(tests), mutant):
                return f"{suite}: {fails[0]}" if len(fails) == 1 else suite


def of(programs, packages):
    """Suite, program and folder of what cargo has compiled for these packages."""
    for it in programs:
        folder = Path(it["manifest_path"]).parent
        if folder.name in packages and it["profile"]["test"] and {"lib", "test"} & set(it["target"]["kind"]):
            name = it["target"]["name"]
            yield (folder.name if "lib" in it["target"]["kind"] else name), it["executable"], str(folder)
