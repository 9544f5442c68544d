"""The mutants that cargo-mutants lists, and what is known of them."""

import collections
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# What became of each mutant: committed, one line each.
KNOWN = REPOSITORY / "docs/proof/mutants.tsv"
ROOMS = ["linger-proto", "tower-linger/tracker", "tower-linger/close", "tower-linger/serve"]


@dataclass
class Mutant:
    number: int
    name: str  # stays when lines above it change
    path: str
    start: int  # what it replaces, as offsets in the file
    end: int
    replacement: str
    body: tuple | None  # of the function that it is in: from its brace to behind its brace
    is_whole: bool  # it takes the place of all that a function does

    @property
    def room(self):
        return next(room for room in ROOMS if self.name.startswith(room))


def listed(diff=None):
    """All of them, or those of the lines that a diff changes."""
    rooms = [room.partition("/") for room in ROOMS]
    globs = [word for crate, _, room in rooms for word in ("-f", f"crates/{crate}/src/{room + '/' if room else ''}**")]
    crates = [word for crate in dict.fromkeys(crate for crate, *_ in rooms) for word in ("-p", crate)]
    changed = ["--in-diff", diff] if diff else []
    command = ["cargo", "mutants", "--list", "--json", "--no-config", "-e", "**/tests.rs", *crates, *globs, *changed]
    found = json.loads(subprocess.check_output(command, cwd=REPOSITORY) or "[]")
    seen, mutants = collections.Counter(), []
    # Helpers of tests are not to be tested.
    for it in [it for it in found if not re.search(r"\btests::", it["name"])]:
        source = (REPOSITORY / it["file"]).read_text()
        words = re.sub(r"^crates/(.*?)/src/([^:]*):\d+:\d+: ", r"\1/\2: ", it["name"])
        seen[words] += 1
        name = words if seen[words] == 1 else f"{words} ({seen[words]})"
        function = it["function"] and body(source, it["function"]["function_name"], *place(source, it["function"]["span"]))
        what = [*place(source, it["span"]), it["replacement"], function, it["genre"] == "FnValue"]
        mutants.append(Mutant(len(mutants) + 1, name, it["file"], *what))
    return mutants


def place(source, span):
    """From where to where it is, as offsets."""
    lines = source.splitlines(keepends=True)
    return [sum(map(len, lines[: at["line"] - 1])) + at["column"] - 1 for at in (span["start"], span["end"])]


def body(source, name, start, end):
    """Where the braces of a function stand: the first ones behind its name that are not in parentheses."""
    depth, word = 0, re.search(r"\w+$", name)[0]
    for at in range(re.compile(rf"^[^/\n]*\bfn\s+{word}\b", re.MULTILINE).search(source, source.rfind("\n", 0, start) + 1).end(), end):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(source[at], 0)
        if source[at] == "{" and depth == 0:
            return at, end
    raise ValueError(f"no body: {source[start:end]}")


def known():
    """By the name of the mutant: what became of it, and how that was found out."""
    lines = KNOWN.read_text().splitlines()[1:] if KNOWN.exists() else []
    return {name: (outcome, by) for outcome, by, name in (line.split("\t") for line in lines)}


def write(found):
    lines = [f"{outcome}\t{by}\t{name}\n" for name, (outcome, by) in sorted(found.items())]
    KNOWN.write_text("outcome\tby\tmutant\n" + "".join(lines))


def summary():
    found, total = known(), collections.Counter(mutant.room for mutant in listed())
    counts = collections.defaultdict(collections.Counter)
    for name, (outcome, _) in found.items():
        counts[next(room for room in ROOMS if name.startswith(room))][outcome] += 1
    outcomes = ["caught", "unviable", "equivalent", "missed"]
    print("| room | mutants |", " | ".join(outcomes), "| not tried |\n|---|" + "---|" * (len(outcomes) + 2))
    for room in ROOMS:
        row = [counts[room][outcome] for outcome in outcomes]
        print(f"| `{room}/` | {total[room]} |", " | ".join(map(str, row)), f"| {total[room] - sum(row)} |")
