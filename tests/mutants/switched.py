"""A copy of the repository in which every function can become each of its mutants while it runs.

`fn f() { BODY }` becomes `fn f() { match chosen(7) { 21 => { MUTANT } 22 => { MUTANT } _ => { BODY } } }`. So everything is compiled
once, and not once a mutant. What does not compile is taken out, and told apart: there are mutants that cannot compile at all, and
some only not beside others (constants, and functions whose type is that of their body).
"""

import collections
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from listed import REPOSITORY

SWITCH = "linger_proto::mutant_switch"
TRIES = 40  # rounds of the compiler until all that is left compiles


class Copy:
    def __init__(self, place, mutants):
        self.tree, self.target = place / "tree", place / "target"
        self.environment = os.environ | {"CARGO_TARGET_DIR": str(self.target), "CARGO_INCREMENTAL": "1", "CARGO_TERM_COLOR": "never"}
        self.sources = {path: (REPOSITORY / path).read_text() for path in {mutant.path for mutant in mutants}}
        self.key = self.copied()
        if not self.target.exists():
            linked_dependencies(self.target)
        # Several in one line are a mistake, so each function has one entry.
        self.functions = list(dict.fromkeys((mutant.path, mutant.body) for mutant in mutants if mutant.body))
        self.functions = [it for it in self.functions if not any(inside(it, other) for other in self.functions)]
        self.inside = collections.defaultdict(list)
        for mutant in mutants:
            if mutant.body:
                self.inside[self.function_of(mutant)].append(mutant)

    def copied(self):
        """Brings the copy up to date, but for the sources that `splice` writes. Returns what tells it from others."""
        library, switch = "crates/linger-proto/src/lib.rs", "crates/linger-proto/src/mutant_switch.rs"
        listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=REPOSITORY, text=True)
        wanted = {path: (REPOSITORY / path).read_bytes() for path in listed.splitlines() if (REPOSITORY / path).is_file()}
        wanted[library] += b"\n#[doc(hidden)]\npub mod mutant_switch;\n"
        wanted[switch] = wanted["tests/mutants/switch.rs"]
        for path in [path for path in self.tree.rglob("*") if path.is_file() and str(path.relative_to(self.tree)) not in wanted]:
            path.unlink()
        for path, text in wanted.items():
            if path not in self.sources:
                written(self.tree / path, text)
                if path != switch:
                    shutil.copymode(REPOSITORY / path, self.tree / path)
        # What cannot make a difference for the compiler or a test is left out.
        differs = lambda path: not path.startswith(("docs/", "tests/mutants/", "benches/", ".github/", "fuzz/"))
        everything = b"".join(path.encode() + text for path, text in sorted(wanted.items()) if differs(path))
        return hashlib.sha256(everything).hexdigest()

    def function_of(self, mutant):
        """The number of the outermost function that this mutant is in."""
        here = (mutant.path, mutant.body)
        return next(n for n, it in enumerate(self.functions) if it == here or inside(here, it))

    def splice(self, out=frozenset()):
        """Writes all mutants but those that are out. Returns where each of them stands, file by file."""
        places = collections.defaultdict(list)
        for path, source in self.sources.items():
            pieces, at, length = [], 0, 0

            def add(text):
                nonlocal length
                pieces.append(text)
                length += len(text.encode())

            for number, (_, (start, end)) in sorted(
                ((n, it) for n, it in enumerate(self.functions) if it[0] == path), key=lambda it: it[1][1]
            ):
                mutants = [mutant for mutant in self.inside[number] if mutant.number not in out]
                if not mutants:
                    continue
                # Without `const`, because which mutant runs is known only then.
                add(re.sub(r"\bconst\s+(fn\s+\w+(?:(?!\bfn\s+\w).)*)$", r"\1", source[at:start], flags=re.DOTALL))
                crate = "crate::mutant_switch" if "/linger-proto/" in path else f"::{SWITCH}"
                add(f"{{ match {crate}::chosen({number}) {{ ")
                for mutant in mutants:
                    began = length
                    text = source[start : mutant.start] + mutant.replacement + source[mutant.end : end]
                    add(f"{mutant.number} => {text} ")
                    places[path].append((began, length, mutant))
                add(f"_ => {source[start:end]} }} }}")
                places[path].append((length - len(source[start:end].encode()), length, number))
                at = end
            add(source[at:])
            text = "".join(pieces)
            written(self.tree / path, text.encode())
        return places

    def compile(self, *arguments, portable=False):
        """The programs of these tests, or what the compiler says of its errors."""
        environment = self.environment | ({"RUSTC_WORKSPACE_WRAPPER": str(self.tree / "tests/portable.sh")} if portable else {})
        command = ["cargo", "test", "--workspace", "--all-features", "--no-run", "--message-format=json", *arguments]
        done = subprocess.run(command, cwd=self.tree, env=environment, capture_output=True, text=True)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        programs = [it for it in lines if it["reason"] == "compiler-artifact" and it["executable"]]
        errors = [it["message"] for it in lines if it["reason"] == "compiler-message" and it["message"]["level"] == "error"]
        if any("internal compiler error" in error["message"] for error in errors):
            # It stumbles over what it has kept of the sources before.
            shutil.rmtree(self.target / "debug/incremental")
            return self.compile(*arguments, portable=portable)
        if done.returncode != 0 and not errors:
            sys.exit(done.stderr)
        return programs, errors

    def with_models(self):
        """The unit tests of tower-linger with models, as `make interleavings` has them, or what the compiler says of its errors."""
        asked = "import unit; words, program = unit.command(); print(program, words, sep='\\n')"
        folder = self.tree / "tests/interleavings"
        told = subprocess.check_output([sys.executable, "-B", "-c", asked], cwd=folder, env=self.environment, text=True)
        program, words = told.split("\n", 1)
        done = subprocess.run(["bash", "-c", f"{words.rstrip()} --error-format=json"], cwd=self.tree, capture_output=True, text=True)
        messages = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
        return program, [it for it in messages if it.get("level") == "error"]

    def take_out(self, out, compile):
        """Takes out what the compiler does not want, until it is content; in `out` is why. Returns what it makes."""
        for _ in range(TRIES):
            places = self.splice(out)
            made, errors = compile()
            if not errors:
                return made
            before = len(out)
            for error in errors:
                for mutant in self.called_by_constants(error) or blamed(error, places, self.inside):
                    out.setdefault(mutant.number, error["message"])
            if len(out) == before:
                sys.exit("\n".join(error["rendered"] for error in errors if error["rendered"]))
        sys.exit("it still does not compile")

    def called_by_constants(self, error):
        """The mutants of a function that has to stay `const`."""
        if called := re.search(r"cannot call non-const .* `(?:.*::)?(\w+)` in", error["message"]):
            is_called = lambda path, body: re.search(rf"fn {called[1]}\b[^;{{]*$", self.sources[path][: body[0]])
            return [mutant for n, it in enumerate(self.functions) if is_called(*it) for mutant in self.inside[n]]

    def files_of(self, mutant):
        """Where it may be noticed: its own file and, if it is of a constant, those that use it."""
        names = [] if mutant.body else re.findall(r"\bconst\s+(\w+)\s*:", self.sources[mutant.path][: mutant.start])
        uses = lambda source: names and re.search(rf"\b{names[-1]}\b", source)
        return {path for path, source in self.sources.items() if path == mutant.path or uses(source)}

    def alone(self, mutant):
        """Puts a single mutant where it belongs, without a switch."""
        source = self.sources[mutant.path]
        (self.tree / mutant.path).write_text(source[: mutant.start] + mutant.replacement + source[mutant.end :])


def written(path, text):
    """What is the same already stays as old as it is, so that cargo does not compile it again."""
    if not path.is_file() or path.read_bytes() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)


def inside(one, other):
    (path, (start, end)), (its_path, (its_start, its_end)) = one, other
    return path == its_path and (its_start, its_end) != (start, end) and its_start <= start and end <= its_end


def spans(message):
    for span in message["spans"]:
        while span["expansion"]:
            span = span["expansion"]["span"]
        yield span
    for child in message["children"]:
        yield from spans(child)


def blamed(error, places, inside):
    """The mutants that an error is in: of its main place, or else of any; or else all those of the function."""
    found = list(spans(error))
    for some in [[it for it in found if it["is_primary"]], found]:
        hit = [
            it for span in some for began, ended, it in places.get(span["file_name"], []) if began <= span["byte_start"] < ended
        ]
        mutants = [it for it in hit if not isinstance(it, int)]
        if mutants:
            return mutants
    return [mutant for span in found for began, ended, it in places.get(span["file_name"], []) if isinstance(it, int)
            and began <= span["byte_start"] < ended for mutant in inside[it]]


def linked(source, copy):
    try:
        os.link(source, copy)
    except OSError:  # another file system
        shutil.copy2(source, copy)


def linked_dependencies(target):
    """The crates of others need not be compiled again, so they are linked, and what cargo knows of them is copied."""
    ours, debug = "*linger*", Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "debug"
    if not (debug / "deps").exists():
        return
    libraries = lambda folder, names: [it for it in names if "linger" in it or not re.search(r"\.(rlib|rmeta|so|d)$", it)]
    shutil.copytree(debug / "deps", target / "debug/deps", copy_function=linked, ignore=libraries)
    for folder in ["build", ".fingerprint"]:
        shutil.copytree(debug / folder, target / "debug" / folder, ignore=shutil.ignore_patterns(ours), symlinks=True)
