"""Matrix products with a float32 result, whatever the operands' precision."""

from typing import Any

import keras
from keras import ops

Array = Any


def accumulator(dtype: str) -> str:
    """The precision of sums and states beside operands of `dtype`.

    float32 for the 16-bit types, `dtype` itself for float32 and float64.
    """
    return "float32" if dtype in ("bfloat16", "float16") else dtype


def product(a: Array, b: Array) -> Array:
    """`a` (..., N) times `b` (N, M): (..., M) in float32 or better.

    Operands of 16 bits keep their speed where the backend can multiply them into a
    float32 sum (JAX), forward and backward; elsewhere they are widened first, since
    rounding the result to 16 bits would cost more precision than the operands did.
    """
    if keras.backend.backend() == "jax":
        from keras_rnnlm.layers.kernels import jax_products

        return jax_products.product(a, b)
    dtype = accumulator(ops.dtype(a))
    if ops.dtype(a) == ops.dtype(b) == dtype:
        return ops.matmul(a, b)
    return ops.matmul(ops.cast(a, dtype), ops.cast(b, dtype))


def chosen_rows(matrix: Array, ids: Array, dtype: str) -> Array:
    """Rows (..., M) of a matrix (V, M) whose gradient is cheap while V is small.

    Args:
        matrix: (V, M) in float32 or better.
        ids: integers in [0, V), of any shape.
        dtype: precision of the operands of the gradient's product, where there is one.
    """
    if keras.backend.backend() == "jax":
        from keras_rnnlm.layers.kernels import jax_products

        return jax_products.chosen_rows(matrix, ids, dtype)
    return ops.take(matrix, ids, axis=0)


def contraction(equation: str, a: Array, b: Array) -> Array:
    """`einsum` of two arrays, in float32 or better whatever their precision."""
    dtype = accumulator(ops.dtype(a))
    if keras.backend.backend() == "jax":
        import jax

        return jax.numpy.einsum(equation, a, b, preferred_element_type=dtype)
    return ops.einsum(equation, ops.cast(a, dtype), ops.cast(b, dtype))
