"""Training tokens a second of full, adaptive and sampled softmax, by vocabulary.

    python benchmarks/output_layers.py --json results/output_layers.json

One LSTM layer, Adam with clipping, words log-uniform by rank as of Zipf's law; the ways
of one vocabulary take turns in one process. Times are of whole training steps.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np

from keras_rnnlm import RNNLM
from keras_rnnlm.allocator import keep_freed_memory
from keras_rnnlm.bench.record import write_figures

WAYS: dict[str, dict[str, Any]] = {
    "full": {"tie_weights": False},
    "full, tied": {"tie_weights": True},
    "adaptive": {"tie_weights": False, "output": "adaptive"},
    "sampled": {"tie_weights": False, "output": "sampled"},
    "sampled, tied": {"tie_weights": True, "output": "sampled"},
}


def main() -> None:
    """Print a line for each way and vocabulary; with --json, write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vocabularies", type=int, nargs="+", default=[10_000])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--steps", type=int, default=35)
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    keep_freed_memory()
    rows = []
    for vocabulary in arguments.vocabularies:
        for way, seconds in _measure(vocabulary, arguments).items():
            speed = arguments.batch * arguments.steps / seconds
            rows.append({"vocabulary": vocabulary, "way": way, "tokens/s": speed})
            print(f"{vocabulary:>9,}  {way:<14}{speed:>9.0f} tokens/s", flush=True)
    title = "Training by output layer, tokens a second"
    write_figures(arguments.json, "output_layers", sys.argv[1:], title, rows)


def _measure(vocabulary: int, arguments: argparse.Namespace) -> dict[str, float]:
    models = {way: _model(vocabulary, way, arguments) for way in arguments.ways}
    shape = arguments.batch, arguments.steps + 1
    uniform = np.random.default_rng(0).random(shape)
    ids = np.exp(uniform * np.log(vocabulary)).astype("int32") - 1
    times: dict[str, list[float]] = {way: [] for way in models}
    for _ in range(arguments.rounds + 1):
        for way, model in models.items():
            begun = time.perf_counter()
            model.train_on_batch(ids[:, :-1], ids[:, 1:])
            jax.block_until_ready([v.value for v in model.trainable_variables])
            times[way].append(time.perf_counter() - begun)
    return {way: statistics.median(found[1:]) for way, found in times.items()}


def _model(vocabulary: int, way: str, arguments: argparse.Namespace) -> RNNLM:
    model = RNNLM(
        vocabulary,
        units=arguments.units,
        layers=1,
        dtype=arguments.dtype,
        seed=0,
        **WAYS[way],
    )
    model.compile(keras.optimizers.Adam(1e-3, global_clipnorm=1.0), weighted_metrics=[])
    return model


if __name__ == "__main__":
    main()
