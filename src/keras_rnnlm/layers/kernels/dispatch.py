"""Which loop runs a recurrent layer: the one place that decides.

Every kernel has the signature of `ops_loop.recurrence`; a faster one is added here.
"""

from typing import Any

import keras

from keras_rnnlm.layers.cells import Cell, State
from keras_rnnlm.layers.kernels import ops_loop

Array = Any


def choose(unroll: bool) -> str:
    """The name of the kernel for the active backend: "jax-scan" or "ops-loop"."""
    if keras.backend.backend() == "jax" and not unroll:
        return "jax-scan"
    return "ops-loop"


def run(
    path: str,
    cell: Cell,
    dtype: str,
    x: Array,
    mask: Array | None,
    state: State,
    kernel: Array,
    bias: Array | None,
    unroll: bool,
) -> tuple[Array, State]:
    """Run the kernel called `path`; the rest is as in `ops_loop.recurrence`."""
    if path == "jax-scan":
        from keras_rnnlm.layers.kernels import jax_scan

        hidden, last = jax_scan.recurrence(cell, dtype, x, mask, state, kernel, bias)
        return hidden, last
    return ops_loop.recurrence(cell, dtype, x, mask, state, kernel, bias, unroll)
