"""Products of bfloat16 by the C++ kernels and by XLA, in every direction of a layer.

    python benchmarks/products.py --json results/products.json

A layer multiplies its input by its matrix (`A B`), the gradient by the transposed
matrix (`A B'`) and the transposed input by the gradient (`A' B`). Matrices lie in
memory as a training step finds them, in float32; rounding and transposing are part of
the time. The kernels are measured for each set of instructions that multiplies bfloat16
here, XLA in bfloat16 and in float32. All live in one process and take turns, A B C A B
C; figures are the medians of the turns.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

from keras_rnnlm.allocator import keep_freed_memory

keep_freed_memory()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from keras_rnnlm.bench.record import write_figures  # noqa: E402
from keras_rnnlm.layers.kernels import native_product  # noqa: E402
from keras_rnnlm.layers.kernels.native.build import runnable_targets  # noqa: E402

# (M, K, N): the input product of 20 x 35 positions, output layers of 20 and 64 x 35.
SHAPES = ((700, 650, 2600), (700, 650, 10000), (2240, 650, 10000))
DIRECTIONS = {"A B": (False, False), "A B'": (False, True), "A' B": (True, False)}
NARROW = ("amx", "avx512")  # sets of instructions with products of bfloat16
Product = Callable[[Any, Any], Any]
Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each shape and direction; with --json, write them as JSON."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--shapes",
        nargs="+",
        type=_shape,
        default=SHAPES,
        metavar="MxKxN",
        help="rows, depth and columns",
    )
    parser.add_argument("--rounds", type=_count, default=15)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    given = parser.parse_args(words)
    rows = []
    for shape in given.shapes:
        for direction in DIRECTIONS:
            rows.append(measure(shape, direction, given.rounds))
            print(_line(rows[-1]), flush=True)
    title = (
        "GFLOP/s of products of float32 matrices, by operands in bfloat16 unless said "
        f"(median of {given.rounds})"
    )
    write_figures(given.json, "products", words, title, rows)
    return 0


def _shape(text: str) -> tuple[int, ...]:
    parts = text.split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(
            f"expected such as 700x650x2600, received {text}"
        )
    return tuple(map(int, parts))


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, received {text}")
    return value


def measure(shape: tuple[int, ...], direction: str, rounds: int) -> Row:
    """Return GFLOP/s of every way to multiply, by name.

    Args:
        shape: (M, K, N).
        direction: A key of `DIRECTIONS`.
        rounds: Turns of each.
    """
    rows, depth, columns = shape
    transposed = DIRECTIONS[direction]
    rng = np.random.default_rng(0)
    shapes = [(rows, depth), (depth, columns)]
    a, b = (
        jnp.asarray(rng.standard_normal(s[::-1] if flip else s), jnp.float32)
        for s, flip in zip(shapes, transposed, strict=True)
    )
    found = ways(transposed)
    for product in found.values():
        product(a, b)
    turns: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, product in found.items():
            begun = time.perf_counter()
            product(a, b)
            turns[name].append(time.perf_counter() - begun)
    operations = 2 * rows * depth * columns
    speeds = {
        name: round(operations / statistics.median(took) / 1e9)
        for name, took in turns.items()
    }
    return {"M x K x N": " x ".join(map(str, shape)), "direction": direction, **speeds}


def ways(transposed: tuple[bool, bool]) -> dict[str, Product]:
    """Return functions that multiply and wait, compiled for their instructions."""
    found = {
        f"ours, {target}": _ours(transposed, target)
        for target in runnable_targets()
        if target in NARROW
    }
    found["XLA"] = _xla(transposed, "bfloat16")
    found["XLA, float32"] = _xla(transposed, "float32")
    return found


def _ours(transposed: tuple[bool, bool], target: str) -> Product:
    compiled = jax.jit(lambda a, b: native_product.product(a, b, *transposed))

    def product(a: Any, b: Any) -> Any:
        os.environ["RNNLM_NATIVE"] = target  # read when it is traced
        return compiled(a, b).block_until_ready()

    return product


def _xla(transposed: tuple[bool, bool], dtype: str) -> Product:
    @jax.jit
    def compiled(a: Any, b: Any) -> Any:
        a, b = (
            (matrix.T if flip else matrix).astype(dtype)
            for matrix, flip in zip((a, b), transposed, strict=True)
        )
        return jnp.matmul(a, b, preferred_element_type=jnp.float32)

    return lambda a, b: compiled(a, b).block_until_ready()


def _line(row: Row) -> str:
    shape, direction, *_ = row.values()
    speeds = list(row.items())[2:]
    return f"{shape:20}{direction:6}" + "".join(
        f"{name}{speed:>5} GFLOP/s  " for name, speed in speeds
    )


if __name__ == "__main__":
    sys.exit(main())
