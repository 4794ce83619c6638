"""Training tokens a second of the members of an ensemble, together and one by one.

    python benchmarks/members.py --json results/members.json

LSTMs with Adam and clipping, words by chance as of Zipf's law. One model alone and K of
them in one program take turns in one process; a turn is some steps, the median of whose
rounds is taken. K runs one after another train as many tokens a second as one of them
does; the time that each of them takes to compile and to start is not counted.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras

from keras_rnnlm import RNNLM
from keras_rnnlm.allocator import keep_freed_memory
from keras_rnnlm.bench.record import write_figures
from keras_rnnlm.bench.synthetic import SyntheticText, zipf_ids
from keras_rnnlm.bench.workloads import Workload
from keras_rnnlm.data.streams import StreamBatches
from keras_rnnlm.training.jax_members import Members
from keras_rnnlm.training.jax_steps import PendingSteps

MODELS = (
    Workload("1x64", (), 65, 64, 1, 20, 35),
    Workload("2x200", (), 10_000, 200, 2, 10, 35),
    Workload("2x650", (), 10_000, 650, 2, 20, 35),
)
BATCHES = 8


def main() -> None:
    """Print a line for each model; with --json, write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [model.name for model in MODELS]
    parser.add_argument("--models", nargs="+", choices=names, default=names)
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a turn, about")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    keep_freed_memory()
    rows = []
    for model in MODELS:
        if model.name not in given.models:
            continue
        alone, together = _measure(model, given)
        rows.append(
            {
                "model": f"{model.name}, batch {model.batch}",
                "members": given.members,
                "one after another, tokens/s": round(alone),
                "together, tokens/s": round(together),
                "times the speed": round(together / alone, 2),
            }
        )
        print(
            f"{model.name:8}{given.members} members: one after another {alone:>9,.0f} "
            f"tokens/s, together {together:>9,.0f} ({together / alone:.2f} times)",
            flush=True,
        )
    title = f"Training the members of an ensemble, {given.dtype}, tokens of all"
    write_figures(given.json, "members", sys.argv[1:], title, rows)


def _measure(model: Workload, given: argparse.Namespace) -> tuple[float, float]:
    """Return tokens a second of one model alone, and of all members together."""
    tokens = model.batch * model.steps
    ways = [
        (_alone(model, given.dtype), tokens),
        (_together(model, given.dtype, given.members), tokens * given.members),
    ]
    speeds: list[list[float]] = [[] for _ in ways]
    counts = []
    for run, _ in ways:
        run(1)  # compiles
        counts.append(max(2, round(given.seconds / max(run(2) / 2, 1e-6))))
    for _ in range(given.rounds):
        for (run, each), count, found in zip(ways, counts, speeds, strict=True):
            found.append(each * count / run(count))
    alone, together = (statistics.median(found) for found in speeds)
    return alone, together


def _alone(model: Workload, dtype: str) -> Callable[[int], float]:
    """Return what trains one model for some steps and says how long it took."""
    network = _network(model, dtype, seed=0)
    batches = _batches(model, seed=0)
    step = PendingSteps(network)
    state: Any = tuple(
        [variable.value for variable in variables]
        for variables in (
            network.trainable_variables,
            network.non_trainable_variables,
            network.optimizer.variables,
            network.metrics_variables,
        )
    )

    def run(steps: int) -> float:
        nonlocal state
        begun = time.perf_counter()
        for i in range(steps):
            _, state = step(state, iter([batches[i % BATCHES]]))
        jax.block_until_ready(state)
        return time.perf_counter() - begun

    return run


def _together(model: Workload, dtype: str, members: int) -> Callable[[int], float]:
    """Return the same for the members of an ensemble."""
    together = Members(_network(model, dtype, seed) for seed in range(members))
    streams = [_batches(model, seed) for seed in range(members)]

    def run(steps: int) -> float:
        begun = time.perf_counter()
        for i in range(steps):
            logs = together.step([stream[i % BATCHES] for stream in streams])
        logs[0]["loss"].wait()
        return time.perf_counter() - begun

    return run


def _network(model: Workload, dtype: str, seed: int) -> RNNLM:
    network = RNNLM(
        model.vocabulary,
        units=model.units,
        layers=model.layers,
        tie_weights=True,
        dropout=0.2,
        seed=seed,
        dtype=dtype,
    )
    network.compile(
        keras.optimizers.Adam(1e-3, global_clipnorm=1.0), weighted_metrics=[]
    )
    network.optimizer.build(network.trainable_variables)
    network.allocate_state(model.batch, training=True)
    network.allocate_state(model.batch, training=False)
    return network


def _batches(model: Workload, seed: int) -> StreamBatches:
    tokens = model.batch * model.steps * BATCHES + 1
    text = SyntheticText(zipf_ids(tokens, model.vocabulary).astype("uint32"))
    return StreamBatches(text, model.batch, model.steps, seed=seed, endless=True)


if __name__ == "__main__":
    main()
