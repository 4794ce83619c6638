"""How long the command takes to answer, and to the end of the first training step.

    python benchmarks/startup.py train.txt --valid valid.txt --test test.txt

Every start is a fresh process. `first` is with an empty cache; `warm` is with encoded
texts, CPU kernels and compiled programs in the cache, `uncached programs` with the
first two only. Seconds count from the start of the process, as the system tells it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from keras_rnnlm.bench.record import write_figures

RNNLM = (sys.executable, "-m", "keras_rnnlm")


def main() -> None:
    """Print the figures as JSON; progress goes to stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train")
    parser.add_argument("--valid")
    parser.add_argument("--test")
    parser.add_argument("--set", action="append", default=[], dest="sets")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        places = (Path(folder, "cache"), Path(folder, "model"))
        figures = {
            "help": [_help() for _ in range(5)],
            "first": [_first_step(arguments, *places, programs=True)],
            "warm": [
                _first_step(arguments, *places, programs=True)
                for _ in range(arguments.runs)
            ],
            "uncached programs": [
                _first_step(arguments, *places, programs=False)
                for _ in range(arguments.runs)
            ],
        }
    medians = {name: statistics.median(values) for name, values in figures.items()}
    print(json.dumps({"seconds": figures, "median": medians}, indent=2))
    rows = [
        {
            "start": name,
            "seconds": medians[name],
            "from": min(values),
            "to": max(values),
            "runs": len(values),
        }
        for name, values in figures.items()
    ]
    title = "Seconds from the start of the process: `rnnlm --help`, the first step"
    write_figures(arguments.json, "startup", sys.argv[1:], title, rows)


def _help() -> float:
    begun = time.perf_counter()
    subprocess.run([*RNNLM, "--help"], check=True, capture_output=True)
    return time.perf_counter() - begun


def _first_step(
    arguments: argparse.Namespace, cache: Path, folder: Path, programs: bool
) -> float:
    """Train one step; return the seconds until it was done, as the log has them."""
    command = [*RNNLM, "train", arguments.train, "--out", str(folder)]
    for name in ("valid", "test"):
        if path := getattr(arguments, name):
            command += [f"--{name}", path]
    for setting in ("max_steps=1", *arguments.sets):
        command += ["--set", setting]
    environment = {
        **os.environ,
        "RNNLM_CACHE": str(cache),
        "RNNLM_PROGRAMS": "" if programs else "off",
    }
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    log = folder / "training.jsonl"
    seconds = None
    while seconds is None and process.poll() is None:
        time.sleep(0.05)
        if log.exists() and (rows := log.read_text().splitlines()):
            seconds = json.loads(rows[0])["seconds"]
    # What follows (validation, final figures, the model folder) is no part of this,
    # but the first run must compile and keep what it needs.
    if process.wait() != 0 or seconds is None:
        raise RuntimeError(f"{command} failed with {process.returncode}")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    print(f"programs {'kept' if programs else 'off'}: {seconds} s", file=sys.stderr)
    return float(seconds)


if __name__ == "__main__":
    main()
