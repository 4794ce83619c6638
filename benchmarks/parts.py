"""Where the time of one of our training steps goes.

    python benchmarks/parts.py word-650 --dtype bfloat16

Times the parts apart, each compiled by itself with its gradient, the whole step as
`fit` compiles it, and `fit` with its Python around it. Parts need not add up to the
whole: XLA fuses across their borders, and each part alone finds the caches its own.
`--trace` lists the longest operations of the whole step as JAX's profiler saw them.
"""

import argparse
import functools
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import keras_rnnlm  # noqa: F401  (before Keras: it settles the backend)
from keras_rnnlm.allocator import keep_freed_memory

keep_freed_memory()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import keras  # noqa: E402

from keras_rnnlm.bench.ours import OurTraining  # noqa: E402
from keras_rnnlm.bench.workloads import WORKLOADS, Workload, workload  # noqa: E402

Part = Callable[[], Any]


def parts(model: Workload, dtype: str) -> tuple[dict[str, Part], OurTraining]:
    """Return the parts as functions that do them once and wait, and the runner."""
    runner = OurTraining(model, dtype)
    runner.run(1)
    network = runner._network
    x, y = runner._batches[0]
    shape = (model.batch, model.steps, model.units)
    narrow = jnp.bfloat16 if dtype == "bfloat16" else jnp.float32
    hidden = jnp.asarray(keras.random.normal(shape, seed=0), jnp.float32).astype(narrow)
    tokens = jnp.asarray(x["tokens"])
    found: dict[str, Part] = {}

    def with_gradient(layer: Any, call: Callable[..., Any], *inputs: Any) -> Part:
        variables = [v.value for v in layer.trainable_variables]
        rest = [v.value for v in layer.non_trainable_variables]

        @jax.jit
        def both(variables: Any, inputs: Any) -> Any:
            def loss(variables: Any, inputs: Any) -> Any:
                pairs = list(
                    zip(
                        [*layer.trainable_variables, *layer.non_trainable_variables],
                        [*variables, *rest],
                        strict=True,
                    )
                )
                with keras.StatelessScope(state_mapping=pairs):
                    return jnp.sum(call(*inputs).astype(jnp.float32))

            return jax.grad(loss, argnums=(0, 1), allow_int=True)(variables, inputs)

        return lambda: jax.block_until_ready(both(variables, inputs))

    found["embedding"] = with_gradient(network.embedding, network.embedding, tokens)
    layer = network.recurrent[0]
    found["recurrent layer"] = with_gradient(
        layer, lambda h: layer(h, training=True)[0], hidden
    )
    output = network.output_layer
    loss = network.loss
    found["output and loss"] = with_gradient(
        output, lambda h: loss(jnp.asarray(y), output(h)), hidden
    )
    found["clip and Adam"] = _optimizer(network)
    found["whole step"] = _whole(network, x, y)
    return found, runner


def _optimizer(network: Any) -> Part:
    """A step of the optimizer, which as in training is given the memory it writes."""
    optimizer = network.optimizer
    gradients = [jnp.ones_like(v.value) * 1e-3 for v in network.trainable_variables]
    kept = [
        [jnp.array(v.value) for v in variables]
        for variables in (network.trainable_variables, optimizer.variables)
    ]

    @functools.partial(jax.jit, donate_argnums=0)
    def apply(kept: Any, gradients: Any) -> Any:
        trainable, state = kept
        return optimizer.stateless_apply(state, gradients, trainable)

    def once() -> Any:
        nonlocal kept
        kept = apply(kept, gradients)
        return jax.block_until_ready(kept)

    return once


def _whole(network: Any, x: Any, y: Any) -> Part:
    network.make_train_function()
    state = [
        [jnp.array(v.value) for v in variables]
        for variables in (
            network.trainable_variables,
            network.non_trainable_variables,
            network.optimizer.variables,
            network.metrics_variables,
        )
    ]
    data = jax.tree_util.tree_map(jnp.asarray, (x, y))

    def once() -> Any:
        nonlocal state
        _, state = network.train_function(tuple(state), iter([data]))
        return jax.block_until_ready(state)

    return once


def timed(found: dict[str, Part], rounds: int) -> dict[str, float]:
    """Return the median milliseconds of each part, taken in turns."""
    took: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds + 1):
        for name, part in found.items():
            begun = time.perf_counter()
            part()
            took[name].append(1e3 * (time.perf_counter() - begun))
    return {name: statistics.median(each[1:]) for name, each in took.items()}


def traced(part: Part) -> list[tuple[str, float]]:
    """Return names and milliseconds of the operations of a part, longest first."""
    with tempfile.TemporaryDirectory() as folder:
        part()
        with jax.profiler.trace(folder):
            part()
        spent: Counter[str] = Counter()
        for path in Path(folder).rglob("*.xplane.pb"):
            for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
                for line in plane.lines:
                    for event in line.events:
                        spent[f"{line.name}: {event.name}"] += event.duration_ns / 1e6
    return spent.most_common()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = [each.name for each in WORKLOADS]
    parser.add_argument("model", choices=names)
    parser.add_argument("--cell", choices=("lstm", "gru"), default="lstm")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--trace", type=int, default=0, metavar="LINES")
    given = parser.parse_args(arguments)
    model = workload(given.model).with_cell(given.cell)
    found, runner = parts(model, given.dtype)
    rows = timed(found, given.rounds)
    tokens, seconds = runner.run(max(3, given.rounds))
    per_step = 1e3 * seconds / (tokens / (model.batch * model.steps))
    print(f"{model.name} {model.cell} {given.dtype}, loops {runner.facts['loops']}")
    for name, milliseconds in rows.items():
        print(f"  {name:18} {milliseconds:8.1f} ms")
    print(f"  {'fit, a step':18} {per_step:8.1f} ms, {tokens / seconds:,.0f} tokens/s")
    if given.trace:
        for name, milliseconds in traced(found["whole step"])[: given.trace]:
            print(f"  {milliseconds:8.2f} ms  {name[:110]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
