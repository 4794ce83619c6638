"""The recurrence on JAX: a scan over time that does only what depends on time.

Forward, each step multiplies by the recurrent matrices and applies the cell's equation;
the results of the products are kept. Backward, each step takes the gradient of the
equation with the products replaced by their kept results, so that nothing but cheap
elementwise work is done again, and multiplies by the transposed matrices, which are
prepared once. The gradient of each recurrent matrix is one product over all time steps
at the end instead of one a step.

No cell has a backward pass of its own: the equations of `layers.cells` are
differentiated by JAX one step at a time.
"""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp

from keras_rnnlm.layers.cells import (
    Cell,
    KerasCell,
    LoopWeights,
    State,
    hold,
    loop_weights,
)
from keras_rnnlm.layers.kernels.jax_products import outer_product, wide_dot

Array = Any


@partial(jax.jit, static_argnums=(0, 1))
def recurrence(
    cell: KerasCell,
    dtype: str,
    x: Array,
    mask: Array | None,
    state: State,
    kernel: Array,
    bias: Array | None,
) -> tuple[Array, State]:
    """Run a cell that has one recurrent matrix; see `ops_loop.recurrence`."""
    weights = loop_weights(cell, kernel, bias)
    return _differentiable(cell, dtype, x, mask, state, weights)


@partial(jax.jit, static_argnums=(0, 1))
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
        dtype: precision of the operands of the recurrent products; sums, gates and
            state have the precision of `x`.
        x: projected inputs, time-major, (T, B, P).
        mask: (T, B, 1) of booleans, false where the state is to be kept; or None.
        state: initial state, arrays (B, ...).
        weights: what the cell needs inside of the loop.

    Returns:
        The outputs of all steps (T, B, H) and the last state.
    """
    return _differentiable(cell, dtype, x, mask, state, weights)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _differentiable(
    cell: Cell,
    dtype: str,
    x: Array,
    mask: Array | None,
    state: State,
    weights: LoopWeights,
) -> tuple[Array, State]:
    """`run` with the gradient below; keeps only what it returns."""
    multiply = _products(dtype, weights)
    w = _inside(multiply, weights)

    def step(state: State, inputs: tuple[Array, Array | None]) -> tuple[State, Array]:
        x_t, mask_t = inputs
        output, new = cell.step(x_t, state, w)
        new = hold(mask_t, new, state)
        return new, new[0] if cell.emits_state else output

    last, hidden = jax.lax.scan(step, state, (x, mask))
    return hidden, last


def _forward(
    cell: Cell,
    dtype: str,
    x: Array,
    mask: Array | None,
    state: State,
    weights: LoopWeights,
) -> tuple[tuple[Array, State], tuple[Any, ...]]:
    multiply = _products(dtype, weights)

    def step(state: State, inputs: tuple[Array, Array | None]) -> tuple[State, Any]:
        x_t, mask_t = inputs
        kept: list[Array] = []

        def product(name: str, operand: Array) -> Array:
            result = multiply[name](operand)
            # Where only the sum matters, the sum is kept and x is not needed again.
            kept.append(x_t + result if cell.additive else result)
            return kept[-1]

        x_left = 0.0 if cell.additive else x_t
        output, new = cell.step(
            x_left, state, _inside(_each(product, weights), weights)
        )
        new = hold(mask_t, new, state)
        return new, (None if cell.emits_state else output, new, tuple(kept))

    last, (hidden, states, results) = jax.lax.scan(step, state, (x, mask))
    hidden = states[0] if cell.emits_state else hidden
    x_left = None if cell.additive else x
    return (hidden, last), (x_left, mask, state, states, results, weights)


def _backward(
    cell: Cell, dtype: str, saved: tuple[Any, ...], gradients: tuple[Array, State]
) -> tuple[Any, ...]:
    x, mask, first, states, results, weights = saved
    d_hidden, d_last = gradients
    transposed = {
        name: jnp.swapaxes(matrix.astype(dtype), -1, -2)
        for name, matrix in weights.matrices.items()
    }
    before = tuple(
        jnp.concatenate([f[None], s[:-1]]) for f, s in zip(first, states, strict=True)
    )
    called: list[str] = []

    def step(carry: Any, inputs: Any) -> tuple[Any, Any]:
        d_state, d_vectors = carry
        d_h, x_t, mask_t, state, results_t = inputs

        def replay(
            x_t: Any, results_t: Any, state: State, vectors: dict[str, Array]
        ) -> tuple[Any, Any]:
            operands: list[Array] = []
            called.clear()

            def product(name: str, operand: Array) -> Array:
                k = len(operands)
                operands.append(operand)
                called.append(name)
                return _recall(operand, results_t[k], transposed[name])

            x_left = 0.0 if cell.additive else x_t
            w = _inside(_each(product, weights), weights._replace(vectors=vectors))
            output, new = cell.step(x_left, state, w)
            new = hold(mask_t, new, state)
            return (new[0] if cell.emits_state else output, new), tuple(operands)

        _, pull, operands = jax.vjp(
            replay, x_t, results_t, state, weights.vectors, has_aux=True
        )
        d_x, d_results, d_state, d_now = pull((d_h, d_state))
        d_vectors = jax.tree.map(jnp.add, d_vectors, d_now)
        return (d_state, d_vectors), (d_x, d_results, operands)

    zeros = jax.tree.map(jnp.zeros_like, weights.vectors)
    (d_first, d_vectors), (d_x, d_results, operands) = jax.lax.scan(
        step, (d_last, zeros), (d_hidden, x, mask, before, results), reverse=True
    )
    if cell.additive:
        (d_x,) = d_results
    d_matrices = {n: jnp.zeros_like(m) for n, m in weights.matrices.items()}
    d_biases = {n: jnp.zeros_like(b) for n, b in weights.biases.items()}
    for name, operand, d_result in zip(called, operands, d_results, strict=True):
        matrix = weights.matrices[name]
        outer = _outer(operand, d_result, matrix, dtype)
        d_matrices[name] += outer.astype(matrix.dtype)
        if name in d_biases:
            d_bias = jnp.sum(d_result, axis=(0, 1))
            d_biases[name] += d_bias.astype(d_biases[name].dtype)
    return d_x, None, d_first, LoopWeights(d_matrices, d_biases, d_vectors)


_differentiable.defvjp(_forward, _backward)


@jax.custom_vjp
def _recall(operand: Array, result: Array, transposed: Array) -> Array:
    """The known `result` of a product; its gradient goes to `result` and `operand`.

    Args:
        operand: what was multiplied, (B, rows).
        result: operand times matrix, (B, M).
        transposed: the matrix, its last two axes exchanged.
    """
    return result


def _recall_forward(
    operand: Array, result: Array, transposed: Array
) -> tuple[Array, Array]:
    return result, transposed


def _recall_backward(
    transposed: Array, gradient: Array
) -> tuple[Array, Array, Array | None]:
    d_operand = _multiply(gradient.astype(transposed.dtype), transposed)
    return d_operand.astype(gradient.dtype), gradient, None


_recall.defvjp(_recall_forward, _recall_backward)


def _products(dtype: str, weights: LoopWeights) -> dict[str, Callable[[Array], Array]]:
    """The products by name, with weights cast once, outside the loop."""
    matrices = {n: matrix.astype(dtype) for n, matrix in weights.matrices.items()}

    def product(name: str, operand: Array) -> Array:
        result = _multiply(operand.astype(dtype), matrices[name])
        bias = weights.biases.get(name)
        return result if bias is None else result + bias

    return _each(product, weights)


def _each(
    product: Callable[[str, Array], Array], weights: LoopWeights
) -> dict[str, Callable[[Array], Array]]:
    return {name: partial(product, name) for name in weights.matrices}


def _inside(
    products: dict[str, Callable[[Array], Array]], weights: LoopWeights
) -> SimpleNamespace:
    """The weights as `Cell.step` sees them."""
    return SimpleNamespace(**products, **weights.vectors)


def _multiply(operand: Array, matrix: Array) -> Array:
    """(B, rows) by (rows, columns), or each head's part by its own matrix."""
    if matrix.ndim == 2:
        return wide_dot(operand, matrix)
    # One after another: XLA's batched products on a CPU take twice the time.
    parts = jnp.split(operand, matrix.shape[0], axis=-1)
    products = [wide_dot(part, own) for part, own in zip(parts, matrix, strict=True)]
    return jnp.concatenate(products, axis=-1)


def _outer(operands: Array, gradients: Array, matrix: Array, dtype: str) -> Array:
    """Sum over time and batch of the outer products, of the shape of `matrix`."""
    left = operands.reshape(-1, operands.shape[-1])
    right = gradients.reshape(-1, gradients.shape[-1])
    if matrix.ndim == 2:
        return outer_product(left, right, dtype)
    parts = (jnp.split(each, matrix.shape[0], axis=-1) for each in (left, right))
    return jnp.stack([outer_product(v, d, dtype) for v, d in zip(*parts, strict=True)])
