"""16-bit matrix products with float32 sums on JAX, in both directions."""

from typing import Any

import jax
import jax.numpy as jnp

Array = Any


def wide_dot(a: Array, b: Array) -> Array:
    """`a` (..., N) times `b` (N, M), summed and returned in float32 or better."""
    wide = jnp.promote_types(a.dtype, jnp.float32)
    return jnp.matmul(a, b.astype(a.dtype), preferred_element_type=wide)


@jax.custom_vjp
def product(a: Array, b: Array) -> Array:
    """`wide_dot` whose gradients are 16-bit products too.

    JAX alone would multiply the float32 gradient by a widened operand, at half the
    speed or less.
    """
    return wide_dot(a, b)


def _forward(a: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
    return wide_dot(a, b), (a, b)


def _backward(saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    a, b = saved
    narrow = gradient.astype(a.dtype)
    da = wide_dot(narrow, b.T).astype(a.dtype)
    rows_a = a.reshape(-1, a.shape[-1])
    db = wide_dot(rows_a.T, narrow.reshape(-1, narrow.shape[-1])).astype(b.dtype)
    return da, db


product.defvjp(_forward, _backward)
