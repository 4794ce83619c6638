"""Training tokens a second of one layer of each recurrent cell, beside our LSTM.

    python benchmarks/cells.py --json results/cells.json

A step is forward and backward through one layer, with the gradients by all its weights,
its inputs and its first state; embedding, output layer and optimizer, which are the
same for all cells, are left out. Inputs are as wide as the layer. All cells live in one
process and take turns of some steps each, A B C A B C. The median of the turns counts;
the ratio is that of a turn to the LSTM's in the same round, the median of the rounds.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ["KERAS_BACKEND"] = "jax"

from keras_rnnlm import cell_registry
from keras_rnnlm.allocator import keep_freed_memory

keep_freed_memory()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402

from keras_rnnlm.bench.record import write_figures  # noqa: E402
from keras_rnnlm.errors import ConfigError  # noqa: E402
from keras_rnnlm.layers.make import (  # noqa: E402
    initial_state,
    make_layer,
    parameters,
    state_size,
)

BASE = "lstm"
RANK = 64
DTYPES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
Step = Callable[[], Any]
Row = dict[str, Any]


class Entry(NamedTuple):
    """A cell with the settings that it is measured with.

    Attributes:
        cell: Its name.
        arguments: Its settings, those that are not as by default.
    """

    cell: str
    arguments: dict[str, Any]

    @property
    def settings(self) -> str:
        """The settings as they are typed, without what stands before the point."""
        words = (
            f"{name}={str(value).lower() if isinstance(value, bool) else value}"
            for name, value in self.arguments.items()
        )
        return ", ".join(words)


def entries(units: int) -> Iterator[Entry]:
    """Yield every registered cell as by default, and other forms of some.

    Where the default number of heads does not divide `units`, `heads_of` says which one
    is taken.
    """
    for cell in cell_registry.names():
        defaults = cell_registry.settings(cell_registry.find(cell))
        heads = defaults.get("heads")
        fits = not isinstance(heads, int) or units % heads == 0
        yield Entry(cell, {} if fits else {"heads": heads_of(units, heads)})
    yield Entry("gru", {"reset_after": False})
    yield Entry("slstm", {"heads": heads_of(units, 4)})
    yield Entry("mogrifier_lstm", {"rank": RANK})
    yield Entry("rlstm", {"rounds": 5, "rank": RANK})
    yield Entry("rlstm", {"rounds": 5})


def heads_of(units: int, least: int) -> int:
    """Return the smallest number of heads, of two units or more each, from `least` on.

    Args:
        units: Of the layer.
        least: Heads at least; where no such number divides the units it is one head.
    """
    found = (n for n in range(least, units // 2 + 1) if units % n == 0)
    return next(found, 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each cell; with --json, write them as JSON."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__)
    names = cell_registry.names()
    parser.add_argument("--cells", nargs="+", choices=names, default=names)
    parser.add_argument("--units", type=_count, default=650, help="and inputs")
    parser.add_argument("--lanes", type=_count, default=20, help="rows of a batch")
    parser.add_argument("--steps", type=_count, default=35)
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--seconds", type=float, default=0.3, help="of a turn, about")
    parser.add_argument("--rounds", type=_count, default=7)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    given = parser.parse_args(words)
    wanted = {BASE, *given.cells}  # nothing is beside the LSTM without it
    chosen = [entry for entry in entries(given.units) if entry.cell in wanted]
    try:
        rows = measure(chosen, given)
    except ConfigError as error:  # a cell that cannot be of this width
        parser.error(str(error))
    for row in rows:
        name = " ".join(filter(None, (row["cell"], row["settings"])))
        print(
            f"{name:32}{row['million weights']:>7.2f} M{row['state']:>8,} of state"
            f"{row['ms']:>9.1f} ms{row['tokens/s']:>9,} tokens/s"
            f"{row['of lstm']:>7.2f} of {BASE}  {row['loop']}"
        )
    title = (
        f"Forward and backward through one layer, {given.lanes} lanes, {given.steps} "
        f"steps, {given.units} inputs and units, {given.dtype} (median of "
        f'{given.rounds}; "of lstm" is of its tokens a second)'
    )
    write_figures(given.json, "cells", words, title, rows)
    return 0


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, received {text}")
    return value


def measure(chosen: Sequence[Entry], given: argparse.Namespace) -> list[Row]:
    """Return a row for each entry, the quickest first.

    Args:
        chosen: What is measured; the LSTM is one of them.
        given: Options of the command line.

    Raises:
        ConfigError: A cell refuses its settings or the width.
    """
    layers, steps = [], []
    for entry in chosen:
        layer = _layer(entry, given)
        layers.append(layer)
        steps.append(_step(layer, given))
    counts = []
    for entry, step in zip(chosen, steps, strict=True):
        print(f"compiling {entry.cell} {entry.settings}", file=sys.stderr, flush=True)
        _seconds(step, 1)
        counts.append(max(1, round(given.seconds / _seconds(step, 1))))
    turns: list[list[float]] = [[] for _ in chosen]
    for _ in range(given.rounds):
        for step, count, found in zip(steps, counts, turns, strict=True):
            found.append(_seconds(step, count))
    base = turns[chosen.index(Entry(BASE, {}))]
    tokens, units = given.lanes * given.steps, given.units
    rows = []
    for entry, layer, found in zip(chosen, layers, turns, strict=True):
        took = statistics.median(found)
        ratios = [lstm / own for lstm, own in zip(base, found, strict=True)]
        shape = (entry.cell, entry.arguments, units, units)
        rows.append(
            {
                "cell": entry.cell,
                "settings": entry.settings,
                "million weights": round(parameters(*shape) / 1e6, 2),
                "state": state_size(*shape),
                "ms": 1e3 * took,
                "tokens/s": round(tokens / took),
                "of lstm": statistics.median(ratios),
                "from": min(ratios),
                "to": max(ratios),
                "loop": layer.loop,
            }
        )
    return sorted(rows, key=lambda row: float(row["ms"]))


def _layer(entry: Entry, given: argparse.Namespace) -> Any:
    layer = make_layer(
        entry.cell,
        entry.arguments,
        given.units,
        return_sequences=True,
        return_state=True,
        seed=0,
        dtype=DTYPES[given.dtype],
    )
    layer.build((None, None, given.units))
    return layer


def _step(layer: Any, given: argparse.Namespace) -> Step:
    """Return what runs a layer once, forward and backward, and gives the gradients."""
    rng = np.random.default_rng(0)
    shape = (given.lanes, given.steps, given.units)
    x, slopes = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for _ in range(2))
    state = initial_state(layer, given.lanes)
    variables = layer.trainable_variables
    # As a model runs it: the state of Keras's three stays in float32 too.
    call = getattr(layer, "carried", layer)

    def loss(weights: Any, x: Any, state: Any, slopes: Any) -> Any:
        mapping = list(zip(variables, weights, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            outputs, *_ = call(x, initial_state=list(state))
        return jnp.sum(outputs.astype(jnp.float32) * slopes)

    gradients = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))
    weights = [variable.value for variable in variables]
    return lambda: gradients(weights, x, state, slopes)


def _seconds(step: Step, count: int) -> float:
    """Return the seconds that one of `count` steps took."""
    begun = time.perf_counter()
    for _ in range(count):
        jax.block_until_ready(step())  # or steps might run beside each other
    return (time.perf_counter() - begun) / count


if __name__ == "__main__":
    sys.exit(main())
