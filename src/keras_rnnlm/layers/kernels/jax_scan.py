"""The recurrence on JAX: a scan over time that does only what depends on time.

Forward, each step multiplies the hidden state by the recurrent matrix and applies
the cell's equation; the results of the products are kept. Backward, each step takes
the gradient of the equation with the products replaced by their kept results, so
that nothing but cheap elementwise work is done again, and multiplies by the
transposed matrix, which is prepared once. The gradient of the recurrent matrix is one
product over all time steps at the end instead of one a step.

No cell has a backward pass of its own: the equations of `layers.cells` are
differentiated by JAX one step at a time.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from keras_rnnlm.layers.cells import Cell, State, columns, hold
from keras_rnnlm.layers.kernels.jax_products import outer_product, wide_dot

Array = Any


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
    """Run a cell over a sequence.

    Args:
        cell: the equation.
        dtype: precision of the operands of the recurrent products; sums, gates and
            state have the precision of `x`.
        x: projected inputs, time-major, (T, B, gates x units).
        mask: (T, B, 1) of booleans, false where the state is to be kept; or None.
        state: initial state, arrays (B, units).
        kernel: recurrent matrix (units, gates x units).
        bias: recurrent bias (gates x units,), or None.

    Returns:
        The hidden states after each step (T, B, units) and the last state.
    """
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
    multiply = _products(cell, dtype, kernel, bias)

    def step(state: State, inputs: tuple[Array, Array | None]) -> tuple[State, Array]:
        x_t, mask_t = inputs
        new = hold(mask_t, cell(x_t, state, multiply), state)
        return new, new[0]

    last, hidden = jax.lax.scan(step, state, (x, mask))
    return hidden, last


def _forward(
    cell: Cell,
    dtype: str,
    x: Array,
    mask: Array | None,
    state: State,
    kernel: Array,
    bias: Array | None,
) -> tuple[tuple[Array, State], tuple[Any, ...]]:
    multiply = _products(cell, dtype, kernel, bias)

    def step(state: State, inputs: tuple[Array, Array | None]) -> tuple[State, Any]:
        x_t, mask_t = inputs
        kept: list[Array] = []

        def product(k: int, operand: Array) -> Array:
            result = multiply[k](operand)
            # Where only the sum matters, the sum is kept and x is not needed again.
            kept.append(x_t + result if cell.additive else result)
            return kept[-1]

        x_left = 0.0 if cell.additive else x_t
        new = hold(mask_t, cell(x_left, state, _each(product, cell)), state)
        return new, (new, tuple(kept))

    last, (states, results) = jax.lax.scan(step, state, (x, mask))
    x_left = None if cell.additive else x
    return (states[0], last), (x_left, mask, state, states, results, kernel, bias)


def _backward(
    cell: Cell, dtype: str, saved: tuple[Any, ...], gradients: tuple[Array, State]
) -> tuple[Any, ...]:
    x, mask, first, states, results, kernel, bias = saved
    d_hidden, d_last = gradients
    transposed = [m.T for m in columns(cell, kernel.astype(dtype), kernel.shape[0])]
    before = tuple(
        jnp.concatenate([f[None], s[:-1]]) for f, s in zip(first, states, strict=True)
    )

    def step(d_state: State, inputs: Any) -> tuple[State, Any]:
        d_h, x_t, mask_t, state, results_t = inputs

        def replay(x_t: Any, results_t: Any, state: State) -> tuple[State, Any]:
            operands: list[Array] = []

            def product(k: int, operand: Array) -> Array:
                operands.append(operand)
                return _recall(operand, results_t[k], transposed[k])

            x_left = 0.0 if cell.additive else x_t
            new = cell(x_left, state, _each(product, cell))
            return hold(mask_t, new, state), tuple(operands[1:])

        _, pull, operands = jax.vjp(replay, x_t, results_t, state, has_aux=True)
        d_x, d_results, d_state = pull((d_state[0] + d_h, *d_state[1:]))
        return d_state, (d_x, d_results, operands)

    inputs = (d_hidden, x, mask, before, results)
    d_first, (d_x, d_results, operands) = jax.lax.scan(
        step, d_last, inputs, reverse=True
    )
    if cell.additive:
        (d_x,) = d_results
    # The first product's operand is the hidden state before the step.
    operands = (before[0], *operands)
    d_kernel = jnp.concatenate(
        [_outer(v, d, dtype) for v, d in zip(operands, d_results, strict=True)], axis=1
    ).astype(kernel.dtype)
    d_bias = None
    if bias is not None:
        sums = [jnp.sum(d, axis=(0, 1)) for d in d_results]
        d_bias = jnp.concatenate(sums).astype(bias.dtype)
    return d_x, None, d_first, d_kernel, d_bias


_differentiable.defvjp(_forward, _backward)


@jax.custom_vjp
def _recall(operand: Array, result: Array, transposed: Array) -> Array:
    """The known `result` of a product; its gradient goes to `result` and `operand`.

    Args:
        operand: what was multiplied, (B, units).
        result: operand times matrix, (B, M).
        transposed: the matrix, transposed: (M, units).
    """
    return result


def _recall_forward(
    operand: Array, result: Array, transposed: Array
) -> tuple[Array, Array]:
    return result, transposed


def _recall_backward(
    transposed: Array, gradient: Array
) -> tuple[Array, Array, Array | None]:
    d_operand = wide_dot(gradient.astype(transposed.dtype), transposed)
    return d_operand.astype(gradient.dtype), gradient, None


_recall.defvjp(_recall_forward, _recall_backward)


def _products(
    cell: Cell, dtype: str, kernel: Array, bias: Array | None
) -> list[Callable[[Array], Array]]:
    """The cell's products, with weights cast and divided once, outside the loop."""
    units = kernel.shape[0]
    matrices = columns(cell, kernel.astype(dtype), units)
    biases = [None] * len(matrices) if bias is None else columns(cell, bias, units)

    def product(k: int, operand: Array) -> Array:
        result = wide_dot(operand.astype(dtype), matrices[k])
        return result if biases[k] is None else result + biases[k]

    return _each(product, cell)


def _each(
    product: Callable[[int, Array], Array], cell: Cell
) -> list[Callable[[Array], Array]]:
    return [partial(product, k) for k in range(len(cell.blocks))]


def _outer(operands: Array, gradients: Array, dtype: str) -> Array:
    """Sum over time and batch of the outer products: (units, M), as one product."""
    left = operands.reshape(-1, operands.shape[-1])
    return outer_product(left, gradients.reshape(-1, gradients.shape[-1]), dtype)
