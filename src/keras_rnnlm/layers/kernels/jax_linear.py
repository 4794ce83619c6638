"""The scan h_t = a_t h_(t-1) + b_t on JAX, elementwise, with its gradient.

Its gradient is the same scan backward in time: with g_t that of h_t from outside,
db_t = g_t + a_(t+1) db_(t+1), da_t = db_t h_(t-1). Nothing but h is kept.

There are no products of many a's and no divisions by them, so that nothing overflows
or vanishes that would not in the loop: see `docs/decisions/013-cells.md`.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from keras_rnnlm.layers.cells import LinearCell, LoopWeights, State
from keras_rnnlm.layers.kernels.ops_loop import inside

Array = Any


def run(
    cell: LinearCell,
    dtype: str,
    x: Array,
    mask: None,
    state: State,
    weights: LoopWeights,
) -> tuple[Array, State]:
    """Run a cell over a sequence; see `ops_loop.run`. There is no mask."""
    a, b = cell.coefficients(x, inside(weights, x.dtype))
    hidden = linear_scan(jnp.broadcast_to(a, b.shape), b, state[0])
    return hidden, (hidden[-1],)


@jax.custom_vjp
def linear_scan(a: Array, b: Array, first: Array) -> Array:
    """All h_t (T, ...) of h_t = a_t h_(t-1) + b_t.

    Args:
        a: (T, ...).
        b: (T, ...).
        first: h before the first step, (...).
    """
    return _scan(a, b, first, reverse=False)


def _forward(a: Array, b: Array, first: Array) -> tuple[Array, tuple[Array, ...]]:
    hidden = _scan(a, b, first, reverse=False)
    return hidden, (a, first, hidden)


def _backward(saved: tuple[Array, ...], gradient: Array) -> tuple[Array, ...]:
    a, first, hidden = saved
    after = jnp.concatenate([a[1:], jnp.zeros_like(a[:1])])
    d_b = _scan(after, gradient, jnp.zeros_like(first), reverse=True)
    before = jnp.concatenate([first[None], hidden[:-1]])
    return d_b * before, d_b, a[0] * d_b[0]


linear_scan.defvjp(_forward, _backward)


@partial(jax.jit, static_argnames="reverse")
def _scan(a: Array, b: Array, first: Array, reverse: bool) -> Array:
    if jax.default_backend() == "cpu":
        return _step_by_step(a, b, first, reverse)
    return _associative(a, b, first, reverse)


def _step_by_step(a: Array, b: Array, first: Array, reverse: bool) -> Array:
    """A loop over time; a CPU has no more threads than one step gives work to."""

    def step(h: Array, inputs: tuple[Array, Array]) -> tuple[Array, Array]:
        a_t, b_t = inputs
        h = a_t * h + b_t
        return h, h

    return jax.lax.scan(step, first, (a, b), reverse=reverse)[1]


def _associative(a: Array, b: Array, first: Array, reverse: bool) -> Array:
    """A tree of pairs of steps: (a, b) then (a', b') is (a a', a' b + b')."""

    def join(left: Any, right: Any) -> tuple[Array, Array]:
        (a, b), (a_next, b_next) = left, right
        return a * a_next, a_next * b + b_next

    start = -1 if reverse else 0
    b = b.at[start].add(a[start] * first)
    return jax.lax.associative_scan(join, (a, b), reverse=reverse)[1]
