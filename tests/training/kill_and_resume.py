"""Kill real training processes at random moments, resume, compare the weights.

`python -m tests.training.kill_and_resume --kills 20 --signal SIGKILL` is the long form
of the test in `test_resume.py`.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

ROOT = Path(__file__).parents[2]
TEXT = ROOT / "tests" / "texts" / "english.txt"
# Enough for a kill to find it running: steps are quickest on JAX.
STEPS = 6000 if os.environ.get("KERAS_BACKEND", "jax") == "jax" else 2000

RUN = f"""
import sys
import keras_rnnlm as krl
corpus = krl.Corpus.from_files({str(TEXT)!r}, tokenizer="char", split=(0.8, 0.2))
settings = krl.Settings(
    units=24, layers=2, dropout=0.2, embedding_dropout=0.1, weight_dropout=0.1,
    average=0.99, batch_size=4, steps=8, max_steps={STEPS}, validations=5,
)
result = krl.train(corpus, settings, sys.argv[1], resume=True)
sys.exit(0 if result.interrupted is None else 128 + result.interrupted)
"""


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start or resume the run in `folder`."""
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    environment.pop("JAX_DISABLE_MOST_OPTIMIZATIONS", None)  # compile as users do
    return subprocess.Popen([sys.executable, "-c", RUN, str(folder)], env=environment)


def weights(folder: Path) -> dict[str, np.ndarray]:
    """Return the weights of a finished run."""
    return load_file(folder / "model.safetensors")


def log_rows(folder: Path) -> list[dict[str, Any]]:
    """Return the log without its times, which differ from run to run."""
    lines = (folder / "training.jsonl").read_text().splitlines()
    times = ("seconds", "tokens_per_second")
    return [
        {name: value for name, value in json.loads(line).items() if name not in times}
        for line in lines
    ]


def interrupt(folder: Path, signals: Sequence[int], seed: int = 0) -> list[int]:
    """Run to the end, with these signals on the way; return all exit codes."""
    chance = random.Random(seed)
    codes = []
    for number in signals:
        process = start(folder)
        log = folder / "training.jsonl"
        size = log.stat().st_size if log.exists() else 0
        # Wait until this process has trained, or is near to it, then some more.
        patience = chance.choice([0.0, 60.0, 60.0, 60.0])
        begun = time.monotonic()
        while process.poll() is None and time.monotonic() - begun < patience:
            if log.exists() and log.stat().st_size not in (0, size):
                break
            time.sleep(0.02)
        time.sleep(chance.uniform(0.0, 1.5))
        process.send_signal(number)
        codes.append(process.wait(timeout=120))
        if codes[-1] == 0:
            break
    while (code := start(folder).wait(timeout=600)) != 0:
        codes.append(code)
        if len(codes) > len(signals) + 5:
            raise RuntimeError(f"the run does not end: exit codes {codes}")
    return [*codes, code]


def main() -> None:
    """Print how many kills there were and whether the weights are bit-equal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--signal", default="SIGKILL")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    whole = arguments.folder / "uninterrupted"
    if not whole.exists():
        start(whole).wait()
    expected, killed, run = weights(whole), 0, 0
    while killed < arguments.kills:
        folder = arguments.folder / f"{arguments.signal}-{arguments.seed}-{run}"
        number = signal.Signals[arguments.signal]
        codes = interrupt(folder, [number] * (arguments.kills - killed), run)
        killed += sum(code != 0 for code in codes)
        found = weights(folder)
        equal = all((found[n] == a).all() for n, a in expected.items())
        same_log = log_rows(folder) == log_rows(whole)
        print(
            f"run {run}: exit codes {codes}; weights bit-equal: {equal}; "
            f"same log: {same_log}; {killed} kills so far",
            flush=True,
        )
        if not (equal and same_log):
            sys.exit(1)
        run += 1


if __name__ == "__main__":
    main()
