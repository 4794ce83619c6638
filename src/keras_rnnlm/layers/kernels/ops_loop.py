"""The recurrence in `keras.ops` alone: correct on every backend.

The input projection is already done for all time steps at once; a step is the
recurrent product and the cell's equation. The gradient is the backend's own.
"""

from typing import Any

import keras
from keras import ops

from keras_rnnlm.layers.cells import Cell, State, columns, hold

Array = Any


def recurrence(
    cell: Cell,
    dtype: str,
    x: Array,
    mask: Array | None,
    state: State,
    kernel: Array,
    bias: Array | None,
    unroll: bool = False,
) -> tuple[Array, State]:
    """Run a cell over a sequence.

    Args:
        cell: the equation.
        dtype: precision that the operands of the recurrent products may have; here
            everything has the precision of `x`.
        x: projected inputs, time-major, (T, B, gates x units).
        mask: (T, B, 1) of booleans, false where the state is to be kept; or None.
        state: initial state, arrays (B, units).
        kernel: recurrent matrix (units, gates x units).
        bias: recurrent bias (gates x units,), or None.
        unroll: write the steps out one after another instead of as a loop; T must
            be known.

    Returns:
        The hidden states after each step (T, B, units) and the last state.
    """
    units = kernel.shape[0]
    # Operands of 16 bits are widened once, out here: beside the rounding of the result
    # there is nothing to win by them in a loop that the backend does not compile.
    matrices = columns(cell, ops.cast(kernel, x.dtype), units)
    biases = [None] * len(matrices) if bias is None else columns(cell, bias, units)

    def multiply(matrix: Array, bias: Array | None) -> Any:
        def times(operand: Array) -> Array:
            result = ops.matmul(operand, matrix)
            return result if bias is None else result + bias

        return times

    products = [multiply(m, b) for m, b in zip(matrices, biases, strict=True)]

    def step(state: State, inputs: tuple[Array, ...]) -> tuple[State, State]:
        x_t, *mask_t = inputs
        new = cell(x_t, state, products)
        new = hold(mask_t[0] if mask_t else None, new, state)
        return new, new

    inputs = (x,) if mask is None else (x, mask)
    # PyTorch has no loop but Python's; unstacking once gives one gradient for the
    # whole sequence, where indexing would give a full-sized one for every step.
    if unroll or keras.backend.backend() == "torch":
        hidden = []
        for step_inputs in zip(*(ops.unstack(each) for each in inputs), strict=True):
            state, _ = step(state, step_inputs)
            hidden.append(state[0])
        return ops.stack(hidden), state
    last, states = ops.scan(step, state, inputs)
    return states[0], last
