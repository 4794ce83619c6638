"""The recurrence in `keras.ops` alone, step after step: right on every backend.

The input projection is already done for all time steps at once; a step is the
recurrent product and the cell's equation. The gradient is the backend's own.
"""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_rnnlm.layers.cells import Cell, State, columns, hold

Array = Any
Step = Callable[[State, tuple[Array, ...]], State]


def recurrence(
    cell: Cell,
    dtype: str,
    x: Array,
    mask: Array | None,
    state: State,
    kernel: Array,
    bias: Array | None,
) -> tuple[Array, State]:
    """Run a cell over a sequence.

    Args:
        cell: the equation.
        dtype: precision that the operands of the recurrent products may have; here
            everything has the precision of `x`.
        x: projected inputs, time-major, (T, B, gates x units), T known.
        mask: (T, B, 1) of booleans, false where the state is to be kept; or None.
        state: initial state, arrays (B, units).
        kernel: recurrent matrix (units, gates x units).
        bias: recurrent bias (gates x units,), or None.

    Returns:
        The hidden states after each step (T, B, units) and the last state.
    """
    step = one_step(cell, kernel, bias, x.dtype)
    inputs = (x,) if mask is None else (x, mask)
    hidden = []
    # On PyTorch, unstacking once gives one gradient for the whole sequence, where
    # indexing would give one of full size for every step.
    for at_time in zip(*(ops.unstack(each) for each in inputs), strict=True):
        state = step(state, at_time)
        hidden.append(state[0])
    return ops.stack(hidden), state


def one_step(cell: Cell, kernel: Array, bias: Array | None, dtype: Any) -> Step:
    """A function (state, (x_t,) or (x_t, mask_t)) -> state, weights in `dtype`.

    Weights of 16 bits are widened once, outside the loop: rounding each step's result
    back to 16 bits would lose more than their speed wins.
    """
    units = kernel.shape[0]
    matrices = columns(cell, ops.cast(kernel, dtype), units)
    biases = [None] * len(matrices) if bias is None else columns(cell, bias, units)

    def multiply(matrix: Array, bias: Array | None) -> Callable[[Array], Array]:
        def times(operand: Array) -> Array:
            result = ops.matmul(operand, matrix)
            return result if bias is None else result + bias

        return times

    products = [multiply(m, b) for m, b in zip(matrices, biases, strict=True)]

    def step(state: State, inputs: tuple[Array, ...]) -> State:
        x_t, *mask_t = inputs
        return hold(mask_t[0] if mask_t else None, cell(x_t, state, products), state)

    return step
