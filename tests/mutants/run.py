"""Does a test fail for each mutant of linger-proto, and of tower-linger's `tracker/`, `close/` and `serve/`? `make mutants`.

What became of each stands in docs/proof/mutants.tsv. One that no test can notice stands there as `equivalent`, and where others
have what noticed them, it has the reason; such lines are written by hand, and kept.

    run.py [--files PART]    all of the files whose path contains PART
    run.py --missed          only those that are not known, or missed
    run.py --changed DIFF    only those of the lines that this diff changes
    run.py --summary         what is known, as a table
"""

import argparse
import collections
import pickle
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from judged import WORKERS, Programs, of
from listed import known, listed, summary, write
from switched import Copy

# The packages whose tests have to notice, by their folders. Tests of the others hardly come here.
PACKAGES = ["linger-proto", "tower-linger", "tests", "simulation"]
EQUIVALENT = "equivalent"
ALONE = "alone"  # until it was tried
# With models, allocations are other ones.
NOT_WITH_MODELS = ["sampling::tests", "costs"]


def compiled(copy, place):
    """Suites, programs and folders: as `make test` has them; then of tower-linger's units, as for other systems, and with models. And which
    mutants are in none of them, with what the compiler says."""
    out = kept(place / "out.pickle", copy, lambda: {})
    copy.take_out(out, lambda: copy.compile("--lib", "--test", "driver"))
    portable = copy.take_out(out, lambda: copy.compile("--lib", portable=True))
    portable = [(f"{suite}, portable", *rest) for suite, *rest in of(portable, ["tower-linger"])]
    # Some make sense to the compiler but where there are no models.
    models = ("interleavings", copy.take_out(dict(out), copy.with_models), str(copy.tree / "crates/tower-linger"))
    usual = list(of(copy.take_out(out, copy.compile), PACKAGES))
    keep(place / "out.pickle", copy, out)
    return usual, portable, models, out


def keep(file, copy, value):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pickle.dumps((copy.key, value)))


def kept(file, copy, make):
    """What an earlier run has found out of the same sources."""
    key, value = pickle.loads(file.read_bytes()) if file.exists() else (None, None)
    if key != copy.key:
        value = make()
        keep(file, copy, value)
    return value


def only_beside_others(mutant, out):
    """Whether the compiler may like it better where it has the function for itself: each body of an `impl Trait` is a type."""
    return "have incompatible types" in out[mutant.number] or "non-const" in out[mutant.number]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--files", default="")
    arguments.add_argument("--missed", action="store_true")
    arguments.add_argument("--changed", type=Path)
    arguments.add_argument("--summary", action="store_true")
    arguments.add_argument("--place", type=Path, default=Path(tempfile.gettempdir()) / "tower-linger-mutants")
    options = arguments.parse_args()
    if options.summary:
        return summary()

    mutants = listed()
    names = {it.name for it in mutants}
    found = {name: outcome for name, outcome in known().items() if name in names}
    changed = {it.name for it in listed(options.changed)} if options.changed else None
    is_asked_for = lambda it: (
        options.files in it.path
        and (changed is None or it.name in changed)
        and found.get(it.name, [""])[0] not in ([EQUIVALENT, "caught", "unviable"] if options.missed else [EQUIVALENT])
    )
    todo = sorted(filter(is_asked_for, mutants), key=lambda it: it.name in found)
    if not todo:
        return print("nothing to try")

    copy = Copy(options.place, mutants)
    usual, portable, models, out = compiled(copy, options.place)
    programs = Programs(options.place / "reached")
    print(f"{len(out)} do not compile; which functions does each test reach?", flush=True)
    tests = kept(
        options.place / "tests.pickle", copy, lambda: programs.all(usual + portable) + programs.all([models], NOT_WITH_MODELS)
    )
    usual = {suite for suite, *_ in usual}
    print(f"{len(tests)} tests reach {len(frozenset().union(*(test.reached for test in tests)))} functions", flush=True)

    began, count, one_at_a_time = time.monotonic(), 0, threading.Lock()

    # What notices one mutant of a file may notice others.
    noticed = collections.defaultdict(set)
    for mutant in mutants:
        noticed[mutant.path].add(found.get(mutant.name, ("", ""))[1])

    def judge(mutant):
        if not mutant.body or mutant.number in out:
            return ("unviable", "rustc") if mutant.body and not only_beside_others(mutant, out) else (ALONE, "-")
        function = copy.function_of(mutant)
        by = programs.notices(mutant.number, [test for test in tests if function in test.reached], noticed[mutant.path])
        return ("caught", by) if by else ("missed", "-")

    def judge_alone(mutant):
        """Everything is compiled once more. Who reaches a function of its files may notice."""
        copy.alone(mutant)
        _, errors = copy.compile()
        files = copy.files_of(mutant)
        here = {n for n, (path, _) in enumerate(copy.functions) if path in files}
        by = not errors and programs.notices(
            None, [test for test in tests if here & test.reached and test.suite in usual], noticed[mutant.path]
        )
        return ("unviable", "rustc") if errors else ("caught", by) if by else ("missed", "-")

    def judged(mutant, judge):
        nonlocal count
        outcome = judge(mutant)
        with one_at_a_time:
            count += 1
            noticed[mutant.path].add(outcome[1])
            # Which of several tests is the first to notice may change each time, and is no news.
            if found.get(mutant.name, [None])[0] != outcome[0]:
                found[mutant.name] = outcome
                write(found)
        print(" ".join([f"{count}/{len(todo)} {time.monotonic() - began:.0f} s", *outcome, mutant.name]), flush=True)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda mutant: judged(mutant, judge), todo))
    for mutant in [mutant for mutant in todo if found[mutant.name][0] == ALONE]:
        count -= 1
        copy.splice(out)
        judged(mutant, judge_alone)
    summary()
    if missed := [mutant.name for mutant in todo if found[mutant.name][0] == "missed"]:
        sys.exit("\n".join(["no test noticed:", *missed]))


if __name__ == "__main__":
    sys.exit(main())
