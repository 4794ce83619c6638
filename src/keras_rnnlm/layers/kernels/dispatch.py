"""Which loop runs a recurrent layer: the one place that decides.

Every kernel has the signature of `ops_loop.recurrence`; a faster one is added here.
"""

from typing import Any

import keras

from keras_rnnlm.layers.cells import Cell, State
from keras_rnnlm.layers.kernels import ops_loop

Array = Any


def choose(cell: Cell, dtype: str, unroll: bool, masked: bool) -> str:
    """The name of the kernel for a cell whose products have operands of `dtype`.

    On JAX "native" (C++) for what it serves on a CPU, else "jax-scan"; on TensorFlow
    "tensorflow-loop"; on PyTorch "torch-fused" for what PyTorch has, without a mask;
    "ops-loop" elsewhere and wherever the steps are to be written out one after another.
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
    cell: Cell,
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


def native_target() -> str | None:
    """The instruction set of the C++ kernels in use; None where there are none."""
    if keras.backend.backend() != "jax":
        return None
    from keras_rnnlm.layers.kernels.native import library

    return library.target()
