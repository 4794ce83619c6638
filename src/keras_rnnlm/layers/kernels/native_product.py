"""Matrix products with bfloat16 operands by the C++ kernel, transposed or not."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from keras_rnnlm.layers.kernels.native import library
from keras_rnnlm.processor import processor_flags

Array = Any


def serves(dtype: Any) -> bool:
    """Whether products with operands of this type are quicker here than by XLA.

    So it is for bfloat16 on processors with a dot product or a matrix unit for it.
    """
    return (
        jnp.dtype(dtype) == jnp.bfloat16
        and "avx512_bf16" in processor_flags()
        and library.available()
        and library.target() in ("amx", "avx512")
    )


def product(
    a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False
) -> Array:
    """Multiply two matrices with operands rounded to bfloat16 and float32 sums.

    Args:
        a: (M, K), or (K, M) if transposed; float32 or bfloat16.
        b: (K, N), or (N, K) if transposed; float32 or bfloat16.
        transpose_a: Whether to multiply by the transpose of `a`.
        transpose_b: Whether to multiply by the transpose of `b`.

    Returns:
        (M, N) in float32.
    """
    rows, columns = a.shape[int(transpose_a)], b.shape[1 - int(transpose_b)]
    return library.call(
        "rnnlm_product",
        library.floats(rows, columns),
        a,
        b,
        transpose_a=np.bool_(transpose_a),
        transpose_b=np.bool_(transpose_b),
    )
