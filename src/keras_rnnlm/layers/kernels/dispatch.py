"""Which loop runs a recurrent layer: the one place that decides.

The kernels of Keras's own cells have the signature of `ops_loop.recurrence`, those that
run any cell that of `ops_loop.run`; a faster one is added here.
"""

from typing import Any

import keras

from keras_rnnlm.layers.cells import (
    Cell,
    ChunkedCell,
    KerasCell,
    LinearCell,
    LoopWeights,
    State,
)
from keras_rnnlm.layers.kernels import ops_loop

Array = Any


def choose(cell: KerasCell, dtype: str, unroll: bool, masked: bool) -> str:
    """The name of the kernel for a cell whose products have operands of `dtype`.

    On JAX "native" (C++) for what it serves on a CPU, where it can be called, else
    "jax-scan"; on TensorFlow "tensorflow-loop"; on PyTorch "torch-fused" for what
    PyTorch has, without a mask; "ops-loop" elsewhere and wherever the steps are to be
    written out one after another.
    """
    if unroll:
        return "ops-loop"
    if keras.backend.backend() == "jax":
        from keras_rnnlm.layers.kernels import native_recurrence
        from keras_rnnlm.layers.kernels.native import library

        native = native_recurrence.serves(cell, dtype) and library.available()
        return "native" if native else "jax-scan"
    if keras.backend.backend() == "torch" and not masked:
        from keras_rnnlm.layers.kernels import torch_fused

        return "torch-fused" if torch_fused.serves(cell) else "ops-loop"
    return "tensorflow-loop" if keras.backend.backend() == "tensorflow" else "ops-loop"


def run(
    loop: str,
    cell: KerasCell,
    dtype: str,
    x: Array,
    mask: Array | None,
    state: State,
    kernel: Array,
    bias: Array | None,
) -> tuple[Array, State]:
    """Run the kernel called `loop`; the rest is as in `ops_loop.recurrence`."""
    recurrence = ops_loop.recurrence
    if loop == "native":
        from keras_rnnlm.layers.kernels.native_recurrence import recurrence
    elif loop == "jax-scan":
        from keras_rnnlm.layers.kernels.jax_scan import recurrence
    elif loop == "tensorflow-loop":
        from keras_rnnlm.layers.kernels.tensorflow_loop import recurrence
    return recurrence(cell, dtype, x, mask, state, kernel, bias)


def choose_any(cell: Cell, steps: int | None) -> str:
    """The name of the kernel for a cell of `layers.cells` that Keras has not.

    "chunks" for cells that have a form of their own for several steps, "jax-linear" on
    JAX for those whose loop is linear; else the backend's loop over steps.

    Args:
        cell: the equation.
        steps: number of time steps, None where it is not known yet.
    """
    backend = keras.backend.backend()
    if isinstance(cell, ChunkedCell) and steps is not None:
        return "chunks"
    if backend == "jax":
        return "jax-linear" if isinstance(cell, LinearCell) else "jax-scan"
    return "tensorflow-loop" if backend == "tensorflow" else "ops-loop"


def run_any(
    loop: str,
    cell: Cell,
    dtype: str,
    x: Array,
    state: State,
    weights: LoopWeights,
) -> tuple[Array, State]:
    """Run the kernel called `loop`; the rest is as in `ops_loop.run`, without mask."""
    run: Any = ops_loop.run
    if loop == "chunks":
        from keras_rnnlm.layers.kernels import chunked

        run = chunked.run
    elif loop == "jax-linear":
        from keras_rnnlm.layers.kernels import jax_linear

        run = jax_linear.run
    elif loop == "jax-scan":
        from keras_rnnlm.layers.kernels import jax_scan

        run = jax_scan.run
    elif loop == "tensorflow-loop":
        from keras_rnnlm.layers.kernels import tensorflow_loop

        run = tensorflow_loop.run
    found: tuple[Array, State] = run(cell, dtype, x, None, state, weights)
    return found


def native_target() -> str | None:
    """The instruction set of the C++ kernels in use; None where there are none."""
    if keras.backend.backend() != "jax":
        return None
    from keras_rnnlm.layers.kernels.native import library

    return library.target()
