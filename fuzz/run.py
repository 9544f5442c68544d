"""Runs the fuzz targets, each from its corpus, for a while. Stops at the first finding, and says how to replay it.

    python3 fuzz/run.py                            all targets, FUZZ_SECONDS each (30), two beside each other
    python3 fuzz/run.py capture --seconds 1800     one target, half an hour
    python3 fuzz/run.py --replay capture FILE      one input, with what it says
    python3 fuzz/run.py --minimise                 the corpora anew, from them and from what runs have found

What a run finds new is kept in fuzz/found/TARGET, and the next run goes on from there. What was a finding once is in
fuzz/regressions/TARGET, and every run begins with it. The last table can be pasted into the documentation.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET_DIR = Path(os.environ["CARGO_TARGET_DIR"]) / "fuzz" if "CARGO_TARGET_DIR" in os.environ else HERE / "target"

# Each target, and the longest input that is of use to it.
TARGETS = {
    "machine": 1024,
    "settings": 512,
    "driver": 1024,
    "rustls_tail": 2048,
    "openssl_tail": 2048,
    "capture": 16384,
    "reading": 16384,
    "probe": 4096,
    "report": 4096,
}

# What is kept in the repository is at most this long, in bytes.
KEPT = 1900

# Programs inherit that SIGPIPE is ignored here. Rust's own `main` would ignore it, libFuzzer's does not.
PIPE = {"restore_signals": False}

# A single input may take 20 s, on a machine that does other things, too, and the whole process 2 GiB.
LIMITS = ["-len_control=0", "-timeout=20", "-rss_limit_mb=2048", "-malloc_limit_mb=1024"]


def build():
    command = ["cargo", "build", "--quiet", "--locked", "--bins", "--target-dir", str(TARGET_DIR)]
    subprocess.run(command, cwd=HERE, check=True)


def program(target):
    return str(TARGET_DIR / "debug" / target)


def folders(target):
    """What a run begins with. New inputs go into the first one."""
    found = HERE / "found" / target
    found.mkdir(parents=True, exist_ok=True)
    kept = [HERE / kind / target for kind in ("corpus", "regressions")]
    return [str(folder) for folder in [found, *kept] if folder.is_dir()]


class Run:
    """One target at work."""

    def __init__(self, target, seconds):
        self.target, self.begun = target, time.monotonic()
        artifacts = HERE / "artifacts" / target
        artifacts.mkdir(parents=True, exist_ok=True)
        self.log = HERE / "artifacts" / f"{target}.log"
        command = [program(target), *folders(target), *LIMITS, f"-max_len={TARGETS[target]}"]
        command += [f"-max_total_time={seconds}", f"-artifact_prefix={artifacts}/", "-print_final_stats=1"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, **PIPE)

    def text(self):
        return self.log.read_text(errors="replace")

    def progress(self):
        lines = [line for line in self.text().splitlines() if line.startswith("#")]
        return lines[-1] if lines else "reads its corpus"

    def row(self):
        """A row of the table."""
        text = self.text()
        stat = lambda name: int((re.findall(rf"stat::{name}:\s+(\d+)", text) or [0])[-1])
        seen = (re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", text) or [("0", "0", "0")])[-1]
        seconds = time.monotonic() - self.begun
        runs = stat("number_of_executed_units")
        fields = [f"`{self.target}`", f"{runs:,}".replace(",", " "), f"{seconds:.0f} s", f"{runs / seconds:.0f}"]
        fields += [seen[0], seen[2], str(stat("new_units_added")), f"{stat('peak_rss_mb')} MiB"]
        return "| " + " | ".join(fields) + " |"

    def finding(self):
        """What to say of a run that failed."""
        text = self.text()
        written = re.findall(r"Test unit written to (\S+)", text)
        last = "\n".join(text.splitlines()[-60:])
        name = Path(written[-1]).relative_to(HERE.parent) if written else "FILE"
        replay = f"python3 fuzz/run.py --replay {self.target} {name}"
        return f"{last}\n\n{self.target} has failed. To replay it:\n    {replay}\n"


HEAD = """
| target | executions | time | each second | branches | corpus | new inputs | memory |
|---|---|---|---|---|---|---|---|"""


def fuzz(targets, seconds, beside):
    waiting, running, rows = list(targets), [], []
    told = time.monotonic()
    while waiting or running:
        while waiting and len(running) < beside:
            running.append(Run(waiting.pop(0), seconds))
        time.sleep(0.2)
        for run in [run for run in running if run.process.poll() is not None]:
            running.remove(run)
            if run.process.returncode != 0:
                for other in running:
                    other.process.terminate()
                sys.exit(run.finding())
            rows.append(run.row())
            print(rows[-1], flush=True)
        if time.monotonic() - told > 60:
            told = time.monotonic()
            for run in running:
                print(f"{run.target}: {run.progress()}", flush=True)
    if len(rows) > 1:
        print(HEAD, *sorted(rows), sep="\n")


def minimise(targets):
    for target in targets:
        corpus = HERE / "corpus" / target
        fresh = HERE / "corpus" / f".{target}"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        longest = min(TARGETS[target], KEPT)
        command = [program(target), "-merge=1", *LIMITS, f"-max_len={longest}", str(fresh), *folders(target)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **PIPE)
        shutil.rmtree(corpus, ignore_errors=True)
        fresh.rename(corpus)
        files = list(corpus.iterdir())
        print(f"{target}: {len(files)} inputs, {sum(file.stat().st_size for file in files)} bytes", flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("target", nargs="*", help=f"all by default: {', '.join(TARGETS)}")
    options.add_argument("--seconds", type=int, default=int(os.environ.get("FUZZ_SECONDS", "30")))
    options.add_argument("--beside", type=int, default=2, help="how many run at once")
    options.add_argument("--replay", action="store_true", help="run one input of one target: TARGET FILE")
    options.add_argument("--minimise", action="store_true", help="renew the corpora")
    options = options.parse_args()
    build()
    if options.replay:
        target, file = options.target
        sys.exit(subprocess.run([program(target), *LIMITS, file], **PIPE).returncode)
    if unknown := [target for target in options.target if target not in TARGETS]:
        sys.exit(f"{', '.join(unknown)} is no target: use {', '.join(TARGETS)}")
    if options.minimise:
        minimise(options.target or TARGETS)
    else:
        fuzz(options.target or TARGETS, options.seconds, options.beside)


if __name__ == "__main__":
    main()
