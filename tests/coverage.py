#!/usr/bin/env python3
"""Which lines and branches of the published libraries do their tests run? Runs the suites with counters in the workspace's own
code, writes docs/coverage.md, and fails below the targets or if a test fails.

Needs the llvm-cov and llvm-profdata of the compiler's LLVM: rustup's component `llvm-tools`, or Debian's package llvm-22, or what
LLVM_COV and LLVM_PROFDATA name; and what `make wire` needs. Which lines were not run is in target/coverage/missed.txt.
"""
import collections
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/coverage.md"
BEGIN, END = "<!-- begin: written by tests/coverage.py -->\n", "<!-- end -->"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
WORK = TARGET / "coverage"
# Percent of the lines.
BOUNDS = {"linger-proto": 97, "tower-linger": 92, "linger-wire": 90}
PORTABLE = ["endings", "drop_safety", "systems", "transports"]
# Each build has its own wrapper: with one name, cargo would take one for the other.
BUILDS = {
    "coverage.sh": [["--tests"], ["--test", "wire_outcomes"]],
    "coverage_portable.sh": [["--lib", *(word for name in PORTABLE for word in ("--test", name))]],
}
# Lines and branches of a file: whether each was run. The two branches of a condition are found by its line and column.
Counts = collections.namedtuple("Counts", "lines branches")


def run(*command, **options):
    return subprocess.run([str(word) for word in command], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def find_tools():
    """llvm-cov and llvm-profdata. Those of another LLVM may not know the compiler's format, or misread it."""
    rustc = run("rustc", "-vV")
    major = re.search(r"LLVM version: (\d+)", rustc)[1]
    component = Path(run("rustc", "--print", "target-libdir").strip()).parent / "bin"
    tools = []
    for name in ["llvm-cov", "llvm-profdata"]:
        given = os.environ.get(name.upper().replace("-", "_"))
        found = given or shutil.which(component / name) or shutil.which(f"{name}-{major}")
        if not found:
            sys.exit(f"no {name} of LLVM {major}: rustup component add llvm-tools, or apt-get install llvm-{major}")
        tools.append(found)
    return tools


class Coverage:
    def __init__(self):
        self.cov, self.profdata = find_tools()

    def export(self, name, raw, objects, sources):
        """What was run, of these sources, by programs whose counters are in `raw`."""
        merged = WORK / f"{name}.profdata"
        inputs = WORK / f"{name}.inputs"
        inputs.write_text("".join(f"{path}\n" for path in sorted(raw.glob("*.profraw"))))
        run(self.profdata, "merge", "--sparse", "--failure-mode=all", "-f", inputs, "-o", merged)
        words = [word for path in objects for word in ("-object", path)]
        # `export`, which is made for programs, crashes (LLVM 22) on a function whose code is all in a macro. The first program has
        # no `-object`.
        how = ["--use-color=0", "--show-instantiations=0", "--show-expansions=0", "--show-branches=count"]
        return parsed(run(self.cov, "show", *how, "--instr-profile", merged, *words[1:], "--sources", *sources))

    def calibrate(self):
        """The figures are right for a program whose are known: else compiler and tools do not fit together."""
        place = WORK / "known"
        place.mkdir(parents=True)
        source = place / "known.rs"
        lines = ["fn main() {", "    called(3);", "}", "fn called(n: u8) -> u8 {", "    if n > 2 {", "        return 1;", "    }",
                 "    2", "}", "#[allow(dead_code)]", "pub fn never() -> u8 {", "    7", "}"]
        source.write_text("\n".join(lines) + "\n")
        wrapper = ROOT / "tests/coverage.sh"
        run(wrapper, "rustc", "-C", "link-dead-code", "-o", place / "known", source)
        run(place / "known", env=os.environ | {"LLVM_PROFILE_FILE": str(place / "%p.profraw")})
        (file,) = self.export("known", place, [place / "known"], [source]).values()
        known = ({1, 2, 3, 4, 5, 6, 9}, {7, 8, 11, 12, 13}, {(5, 8): [True, False]})
        ran = {line for line, count in file.lines.items() if count}
        seen = (ran, file.lines.keys() - ran, file.branches)
        if seen != known:
            sys.exit(f"coverage: a program whose coverage is known is read as {seen}, and should be {known}")


def parsed(shown):
    """Each file is its path, if there are several, and its lines: number, count, source. The conditions of a line follow it, once
    for each type that a generic function was compiled with. A count is shortened where it is long, so that it only tells whether
    something was run."""
    files = collections.defaultdict(lambda: Counts({}, {}))
    path = None
    for line in shown.splitlines():
        counted = re.match(r" *(\d+)\| *([0-9.]+[kMGTPEZY]?)\|", line)
        branch = re.match(r" *\| +Branch \((\d+):(\d+)\): \[True: ([^,]+), False: ([^]]+)\]", line)
        if line.endswith(".rs:") and line.startswith("/"):
            path = line[:-1]
        elif counted:
            files[path].lines[int(counted[1])] = counted[2] != "0"
        elif branch:
            condition = (int(branch[1]), int(branch[2]))
            known = files[path].branches.get(condition, [False, False])
            files[path].branches[condition] = [known[0] or branch[3] != "0", known[1] or branch[4] != "0"]
    return files


def tests_of(source):
    """The lines of items that are compiled for tests only. The sources are formatted, so that an item ends with a brace that is
    as far indented as it is."""
    lines = source.splitlines()
    found = set()
    for start, line in enumerate(lines):
        attribute = re.match(r"( *)#\[cfg\((all\()?test\b", line)
        if attribute:
            end = start
            while not re.match(rf"{attribute[1]}(\}}|[^ #].*;$)", lines[end]):
                end += 1
            found.update(range(start + 1, end + 2))
    return found


def suite(wrapper, selections):
    """Runs a build's tests. Returns the programs, and whether all tests passed."""
    raw = WORK / Path(wrapper).stem
    raw.mkdir()
    # Tests end hundreds of processes; those of one program share two files.
    counted = {"RUSTC_WORKSPACE_WRAPPER": str(ROOT / "tests" / wrapper), "LLVM_PROFILE_FILE": str(raw / "%2m.profraw")}
    environment = os.environ | counted
    programs, passed = set(), True
    for selection in selections:
        command = ["cargo", "test", "--workspace", "--all-features", "--no-fail-fast", *selection]
        built = run(*command, "--no-run", "--message-format=json-render-diagnostics", env=environment)
        messages = [json.loads(line) for line in built.splitlines() if line.startswith("{")]
        programs.update(message["executable"] for message in messages if message.get("executable"))
        passed &= subprocess.run(command, cwd=ROOT, env=environment).returncode == 0
    return raw, sorted(programs), passed


def joined(one, other):
    """What ran in either build. A line that only one of them has counts as it is there."""
    lines = {line: one.lines.get(line, False) or other.lines.get(line, False) for line in one.lines.keys() | other.lines.keys()}
    never = [False, False]
    conditions = one.branches.keys() | other.branches.keys()
    branches = {it: [x or y for x, y in zip(one.branches.get(it, never), other.branches.get(it, never))] for it in conditions}
    return Counts(lines, branches)


def share(counts):
    return 100 * sum(counts) / len(counts) if counts else None


def percent(value):
    return "–" if value is None else f"{value:.1f} %"


def every(files, what):
    if what == "lines":
        return [count for file in files for count in file.lines.values()]
    return [count for file in files for counts in file.branches.values() for count in counts]


def ranges(numbers):
    """1, 2, 3, 7 → 1–3, 7."""
    parts = []
    for number in sorted(numbers):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in parts)


def render(crates):
    today = datetime.date.today().isoformat()
    yield f"Measured on {today} with {run('rustc', '-V').strip()}.\n\n"
    yield "| crate | lines | of | target | branches | of |\n|---|---|---|---|---|---|\n"
    for crate, files in crates.items():
        lines, branches = every(files.values(), "lines"), every(files.values(), "branches")
        bound = f"≥ {BOUNDS[crate]} %"
        yield f"| {crate} | {percent(share(lines))} | {len(lines)} | {bound} | {percent(share(branches))} | {len(branches)} |\n"
    for crate, files in crates.items():
        yield f"\n## {crate}\n\n| file in `crates/{crate}/src` | lines | of | branches | of |\n|---|---|---|---|---|\n"
        for path, file in files.items():
            lines, branches = every([file], "lines"), every([file], "branches")
            yield f"| `{path}` | {percent(share(lines))} | {len(lines)} | {percent(share(branches))} | {len(branches)} |\n"


def main():
    shutil.rmtree(WORK, ignore_errors=True)
    coverage = Coverage()
    coverage.calibrate()
    sources = {crate: ROOT / "crates" / crate / "src" for crate in BOUNDS}
    found, passed = {}, True
    for wrapper, selections in BUILDS.items():
        raw, programs, good = suite(wrapper, selections)
        passed &= good
        for path, counts in coverage.export(raw.name, raw, programs, sources.values()).items():
            found[path] = joined(found[path], counts) if path in found else counts
    crates = {crate: {} for crate in BOUNDS}
    missed = []
    for path in sorted(found):
        crate = next(crate for crate, place in sources.items() if Path(path).is_relative_to(place))
        inside = Path(path).relative_to(sources[crate])
        if "tests" in inside.parts or inside.name == "tests.rs":
            continue
        skip = tests_of(Path(path).read_text())
        lines = {line: count for line, count in found[path].lines.items() if line not in skip}
        branches = {(line, column): ways for (line, column), ways in found[path].branches.items() if line not in skip}
        if lines:
            crates[crate][str(inside)] = Counts(lines, branches)
            never = ranges(line for line, count in lines.items() if not count)
            half = ranges({line for (line, _), ways in branches.items() if not all(ways) and lines.get(line)})
            missed.append(f"crates/{crate}/src/{inside}: lines {never or '–'}; one way only in {half or '–'}\n")
    (WORK / "missed.txt").write_text("".join(missed))
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(before + BEGIN + "".join(render(crates)) + END + rest.partition(END)[2])
    print(f"which lines were not run: {WORK / 'missed.txt'}")
    wrong = [] if passed else ["a test failed"]
    for crate, files in crates.items():
        reached = share(every(files.values(), "lines")) or 0
        print(f"{crate}: {reached:.2f} % of the lines, {percent(share(every(files.values(), 'branches')))} of the branches")
        if reached < BOUNDS[crate]:
            wrong.append(f"{crate}: {reached:.2f} % of the lines are run, fewer than {BOUNDS[crate]} %")
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
