"""Matrix products with sums in float32 or better on JAX, in both directions."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from keras_rnnlm.layers.kernels import native_product

Array = Any


def wide_dot(a: Array, b: Array) -> Array:
    """`a` (..., N) times `b` (N, M), summed and returned in float32 or better."""
    wide = jnp.promote_types(a.dtype, jnp.float32)
    return jnp.matmul(a, b.astype(a.dtype), preferred_element_type=wide)


@jax.custom_vjp
def product(a: Array, b: Array) -> Array:
    """`wide_dot` whose gradients are products of the operands' precision too.

    JAX alone would multiply the float32 gradient by a widened operand, at half the
    speed or less, and transpose it first.
    """
    return _forward(a, b)[0]


def _forward(a: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
    if native_product.serves(a.dtype):
        result = native_product.product(_rows(a), b)
        return result.reshape(*a.shape[:-1], b.shape[-1]), (a, b)
    return wide_dot(a, b), (a, b)


def _backward(saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    a, b = saved
    if native_product.serves(a.dtype):
        # The kernel rounds the gradient to 16 bits while it packs it.
        da = native_product.product(_rows(gradient), b, transpose_b=True)
        db = outer_product(_rows(a), _rows(gradient), a.dtype)
        return da.reshape(a.shape).astype(a.dtype), db.astype(b.dtype)
    narrow = gradient.astype(a.dtype)
    da = wide_dot(narrow, b.T).astype(a.dtype)
    return da, outer_product(_rows(a), _rows(narrow), a.dtype).astype(b.dtype)


product.defvjp(_forward, _backward)


def outer_product(a: Array, b: Array, dtype: Any) -> Array:
    """Sum over the rows of `a` (R, N) and `b` (R, M) of their outer products.

    Args:
        a: Left rows.
        b: Right rows.
        dtype: Precision of the products' operands.

    Returns:
        (N, M) in float32 or better.
    """
    if native_product.serves(dtype):
        return native_product.product(a, b, transpose_a=True)
    return wide_dot(a.astype(dtype).T, b.astype(dtype))


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def chosen_rows(matrix: Array, ids: Array, dtype: str) -> Array:
    """Rows of a matrix; the gradient is one product instead of a scattered sum.

    XLA adds scattered rows one by one on a CPU. A product with the rows of an identity
    matrix adds them at the speed of products, which pays while they are few.

    Args:
        matrix: (V, M).
        ids: integers in [0, V), of any shape.
        dtype: Precision of the product's operands.

    Returns:
        (..., M).
    """
    return jnp.take(matrix, ids, axis=0, mode="clip")


def _rows_forward(
    matrix: Array, ids: Array, dtype: str
) -> tuple[Array, tuple[Array, Array]]:
    return chosen_rows(matrix, ids, dtype), (matrix, ids)


def _rows_backward(
    dtype: str, saved: tuple[Array, Array], gradient: Array
) -> tuple[Array, None]:
    matrix, ids = saved
    which = jax.nn.one_hot(ids.reshape(-1), matrix.shape[0], dtype=dtype)
    return outer_product(which, _rows(gradient), dtype).astype(matrix.dtype), None


chosen_rows.defvjp(_rows_forward, _rows_backward)


def _rows(array: Array) -> Array:
    return array.reshape(-1, array.shape[-1])
