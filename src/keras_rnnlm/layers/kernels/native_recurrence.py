"""The recurrence of LSTM and GRU by the C++ kernels: what `jax_scan` does, on a CPU.

The kernels run the loop over time, forward and backward. What can be done for all time
steps at once is left to XLA here: the gradients of the recurrent matrix and bias.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from keras import activations

from keras_rnnlm.layers.cells import Cell, GRUCell, LSTMCell, State
from keras_rnnlm.layers.kernels.jax_products import outer_product
from keras_rnnlm.layers.kernels.native import library

Array = Any

# Name and number of arrays (B, units) that the gradient needs from each step.
_KERNELS: dict[type[Cell], tuple[str, int]] = {
    LSTMCell: ("lstm", 4),
    GRUCell: ("gru", 4),
}
_PRECISIONS = ("float32", "bfloat16")


def serves(cell: Cell, dtype: str) -> bool:
    """Whether the kernels compute this cell, its products in this precision."""
    return (
        type(cell) in _KERNELS
        and dtype in _PRECISIONS
        and getattr(cell, "activation", None) is activations.tanh
        and getattr(cell, "recurrent_activation", None) is activations.sigmoid
    )


@partial(jax.jit, static_argnums=(0, 1))
def recurrence(
    cell: Cell,
    dtype: str,
    x: Array,
    mask: Array | None,
    state: State,
    kernel: Array,
    bias: Array | None,
) -> tuple[Array, State]:
    """Run a cell over a sequence; see `jax_scan.recurrence`. State in float32.

    Raises:
        ValueError: A state of another shape than (batch, units).
    """
    steps, batch, units = x.shape[0], x.shape[1], kernel.shape[0]
    for array in state:
        if array.shape != (batch, units):
            raise ValueError(
                f"Expected a state of shape {(batch, units)}, one row for each of the "
                f"batch, received {array.shape}."
            )
    if mask is not None:
        mask = jnp.broadcast_to(mask, (steps, batch, 1))
    return _differentiable(cell, dtype, x, mask, state, kernel, bias)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _differentiable(
    cell: Cell,
    dtype: str,
    x: Array,
    mask: Array | None,
    state: State,
    kernel: Array,
    bias: Array | None,
) -> tuple[Array, State]:
    """`recurrence` with the gradient below; keeps only what it returns."""
    hidden, cells, _ = _run(cell, dtype, False, x, mask, state, kernel, bias)
    return hidden, _last(hidden, cells, state)


def _forward(
    cell: Cell,
    dtype: str,
    x: Array,
    mask: Array | None,
    state: State,
    kernel: Array,
    bias: Array | None,
) -> tuple[tuple[Array, State], tuple[Any, ...]]:
    hidden, cells, kept = _run(cell, dtype, True, x, mask, state, kernel, bias)
    saved = (mask, state, kernel, bias, hidden, cells, kept)
    return (hidden, _last(hidden, cells, state)), saved


def _backward(
    cell: Cell, dtype: str, saved: tuple[Any, ...], gradients: tuple[Array, State]
) -> tuple[Any, ...]:
    mask, state, kernel, bias, hidden, cells, kept = saved
    d_hidden, d_last = gradients
    name, _ = _KERNELS[type(cell)]
    steps, batch, units = hidden.shape
    wide = library.floats(steps, batch, kernel.shape[1])
    none = library.floats(0)
    row = library.floats(batch, units)
    d_x, d_u, d_h, d_c = library.call(
        f"rnnlm_{name}_backward",
        [wide, none if cell.additive else wide, row, row if len(state) > 1 else none],
        _flags(mask),
        *_pair(state),
        kernel.astype(jnp.float32),
        hidden,
        cells,
        kept,
        d_hidden,
        *_pair(d_last),
        narrow=np.bool_(dtype == "bfloat16"),
    )
    d_results = d_x if cell.additive else d_u
    # One product over all steps: the first step's operand is the state before it.
    before = jnp.concatenate([state[0][None], hidden[:-1]]).reshape(-1, units)
    d_kernel = outer_product(before, d_results.reshape(-1, kernel.shape[1]), dtype)
    d_bias = None
    if bias is not None:
        d_bias = jnp.sum(d_results, axis=(0, 1)).astype(bias.dtype)
    d_state = (d_h, d_c)[: len(state)]
    return d_x, None, d_state, d_kernel.astype(kernel.dtype), d_bias


_differentiable.defvjp(_forward, _backward)


def _run(
    cell: Cell,
    dtype: str,
    keep: bool,
    x: Array,
    mask: Array | None,
    state: State,
    kernel: Array,
    bias: Array | None,
) -> list[Array]:
    """Hidden states and cell states (T, B, units), and what the gradient needs."""
    name, count = _KERNELS[type(cell)]
    steps, batch, units = x.shape[0], x.shape[1], kernel.shape[0]
    each = library.floats(steps, batch, units)
    none = library.floats(0)
    kept = library.floats(steps, batch, count * units)
    result: list[Array] = library.call(
        f"rnnlm_{name}_forward",
        [each, each if len(state) > 1 else none, kept if keep else none],
        x,
        _flags(mask),
        *_pair(state),
        kernel.astype(jnp.float32),
        jnp.zeros((0,), jnp.float32) if bias is None else bias,
        narrow=np.bool_(dtype == "bfloat16"),
    )
    return result


def _last(hidden: Array, cells: Array, state: State) -> State:
    return (hidden[-1], cells[-1]) if len(state) > 1 else (hidden[-1],)


def _pair(state: State) -> State:
    """Hidden and cell state; an empty array where the cell has none."""
    return state if len(state) > 1 else (*state, jnp.zeros((0,), jnp.float32))


def _flags(mask: Array | None) -> Array:
    return jnp.zeros((0,), jnp.bool_) if mask is None else mask
