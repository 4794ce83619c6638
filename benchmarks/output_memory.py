"""Peak memory of a training step with a large vocabulary, fused and unfused.

    python benchmarks/output_memory.py --json results/output_memory.json

Each way runs in a process of its own: `fused` is what `fit` does, `unfused` the same
model whose loss is handed all logits of the batch, and `adaptive` and `sampled` are the
other output layers. A first step compiles. The highest resident size during a second
one is read from the kernel; what was resident before it (parameters, optimizer state,
program) and the gradients' own bytes are taken off. Linux only.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from keras_rnnlm.bench.record import write_figures

WAYS = ("unfused", "fused", "adaptive", "sampled")


def main() -> None:
    """Print a table and, with --json, write the figures as JSON."""
    arguments = _arguments()
    if arguments.way:
        print(json.dumps(_measure(arguments)))
        return
    figures = [_in_a_process(way, arguments) for way in arguments.ways]
    whole = next((f["above"] for f in figures if f["way"] == "unfused"), None)
    print(f"{'way':<10}{'MB above':>10}{'of unfused':>12}{'parameters':>14}  loop")
    for figure in figures:
        share = f"{figure['above'] / whole:.3f}" if whole else "-"
        print(
            f"{figure['way']:<10}{figure['above'] / 1e6:>10.0f}{share:>12}"
            f"{figure['parameters']:>14,}  {figure['loop']}"
        )
    settings = {
        name: getattr(arguments, name)
        for name in ("vocabulary", "batch", "steps", "units", "layers", "dtype")
    }
    title = (
        "Peak memory of a training step above parameters, gradients and optimizer state"
    )
    rows = [
        {
            **settings,
            "way": figure["way"],
            "MB above": figure["above"] / 1e6,
            "of unfused": figure["above"] / whole if whole else None,
            "loop": figure["loop"],
        }
        for figure in figures
    ]
    write_figures(arguments.json, "output_memory", sys.argv[1:], title, rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vocabulary", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=70)
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS[:2])
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--way", choices=WAYS, help="measure this one here, as JSON")
    return parser.parse_args()


def _in_a_process(way: str, arguments: argparse.Namespace) -> dict[str, Any]:
    names = ("vocabulary", "batch", "steps", "units", "layers", "dtype")
    options = [f"--{name}={getattr(arguments, name)}" for name in names]
    done = subprocess.run(
        [sys.executable, __file__, *options, "--way", way],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    figure: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figure


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    import keras
    import numpy as np

    from keras_rnnlm import RNNLM

    way = arguments.way
    options = {} if way in ("fused", "unfused") else {"output": way}
    if way == "adaptive":
        options["tie_weights"] = False
    model = RNNLM(
        arguments.vocabulary,
        units=arguments.units,
        layers=arguments.layers,
        dtype=arguments.dtype,
        seed=0,
        **options,
    )
    model.compile(keras.optimizers.Adam(1e-3, global_clipnorm=1.0), weighted_metrics=[])
    if way == "unfused":
        model.one_pass = False
    shape = arguments.batch, arguments.steps + 1
    ids = np.random.default_rng(0).integers(0, arguments.vocabulary, shape)
    reading = _Memory()
    model.fit(
        ids[:, :-1],
        ids[:, 1:],
        batch_size=arguments.batch,
        epochs=2,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda *_: reading.begin(),
                on_epoch_end=lambda *_: reading.end(),
            )
        ],
    )
    parameters = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    return {
        "way": way,
        "loop": model.output_layer.loop,
        "parameters": parameters,
        "before": reading.before,
        "peak": reading.peak,
        "above": reading.peak - reading.before - 4 * parameters,
    }


class _Memory:
    """Resident bytes before, and at most during, the latest epoch of one step."""

    before = peak = 0

    def begin(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # forgets the highest size
        self.before = _resident("VmRSS")

    def end(self) -> None:
        self.peak = _resident("VmHWM")


def _resident(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {name}")


if __name__ == "__main__":
    main()
