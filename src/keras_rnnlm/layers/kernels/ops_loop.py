"""The recurrence in `keras.ops` alone, step after step: right on every backend.

What depends on the inputs alone is already done for all time steps at once; a step is
the recurrent products and the cell's equation. The gradient is the backend's own.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from keras import ops

from keras_rnnlm.layers.cells import (
    Cell,
    KerasCell,
    LoopWeights,
    State,
    hold,
    loop_weights,
)

Array = Any
Step = Callable[[State, tuple[Array, ...]], tuple[Array, State]]


def recurrence(
    cell: KerasCell,
    dtype: str,
    x: Array,
    mask: Array | None,
    state: State,
    kernel: Array,
    bias: Array | None,
) -> tuple[Array, State]:
    """Run a cell that has one recurrent matrix; see `run`.

    Args:
        cell: the equation.
        dtype: see `run`.
        x: projected inputs, time-major, (T, B, gates x units), T known.
        mask: see `run`.
        state: initial state, arrays (B, units).
        kernel: recurrent matrix (units, gates x units).
        bias: recurrent bias (gates x units,), or None.

    Returns:
        The hidden states after each step (T, B, units) and the last state.
    """
    return run(cell, dtype, x, mask, state, loop_weights(cell, kernel, bias))


def run(
    cell: Cell,
    dtype: str,
    x: Array,
    mask: Array | None,
    state: State,
    weights: LoopWeights,
) -> tuple[Array, State]:
    """Run a cell over a sequence.

    Args:
        cell: the equation.
        dtype: precision that the operands of the recurrent products may have; here
            everything has the precision of `x`.
        x: projected inputs, time-major, (T, B, P), T known.
        mask: (T, B, 1) of booleans, false where the state is to be kept; or None. For
            cells that emit their state.
        state: initial state, arrays (B, ...).
        weights: what the cell needs inside of the loop.

    Returns:
        The outputs of all steps (T, B, H) and the last state.
    """
    step = one_step(cell, weights, x.dtype)
    inputs = (x,) if mask is None else (x, mask)
    hidden = []
    # On PyTorch, unstacking once gives one gradient for the whole sequence, where
    # indexing would give one of full size for every step.
    for at_time in zip(*(ops.unstack(each) for each in inputs), strict=True):
        output, state = step(state, at_time)
        hidden.append(output)
    return ops.stack(hidden), state


def one_step(cell: Cell, weights: LoopWeights, dtype: Any) -> Step:
    """A function (state, (x_t,) or (x_t, mask_t)) -> output, state; weights in `dtype`.

    Weights of 16 bits are widened once, outside the loop: rounding each step's result
    back to 16 bits would lose more than their speed wins.
    """
    w = inside(weights, dtype)

    def step(state: State, inputs: tuple[Array, ...]) -> tuple[Array, State]:
        x_t, *mask_t = inputs
        output, new = cell.step(x_t, state, w)
        if not mask_t:
            return output, new
        new = hold(mask_t[0], new, state)
        return new[0], new

    return step


def inside(weights: LoopWeights, dtype: Any) -> SimpleNamespace:
    """The weights as `Cell.step` sees them: matrices as functions."""

    def multiply(matrix: Array, bias: Array | None) -> Callable[[Array], Array]:
        def times(operand: Array) -> Array:
            result = multiplied(operand, matrix)
            return result if bias is None else result + bias

        return times

    functions = {
        name: multiply(ops.cast(matrix, dtype), weights.biases.get(name))
        for name, matrix in weights.matrices.items()
    }
    return SimpleNamespace(**functions, **weights.vectors)


def multiplied(operand: Array, matrix: Array) -> Array:
    """(B, rows) by (rows, columns), or each head's part by its own matrix."""
    if len(matrix.shape) == 2:
        return ops.matmul(operand, matrix)
    heads, rows, columns = matrix.shape
    parts = ops.reshape(operand, (-1, heads, rows))
    result = ops.einsum("bhr,hrc->bhc", parts, matrix)
    return ops.reshape(result, (-1, heads * columns))
