"""The C++ kernel of `native/softmax.cc`, called from JAX."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keras_rnnlm.layers.kernels.native import library

Array = Any


def nats(logits: Array, bias: Array | None, targets: Array) -> tuple[Array, Array]:
    """See `softmax.Softmax.nats`; a target outside the vocabulary has nats of NaN."""
    found, correct = library.call(
        "rnnlm_nats", _of_rows(targets), logits, _given(bias), targets
    )
    return found, correct.astype(jnp.float32)


def gradient(
    logits: Array, bias: Array | None, targets: Array, weights: Array, dtype: str
) -> tuple[Array, Array, Array, Array]:
    """See `softmax.Softmax.gradient`."""
    d_logits, found, correct, d_bias = library.call(
        "rnnlm_nats_gradient",
        [
            jax.ShapeDtypeStruct(logits.shape, dtype),
            *_of_rows(targets),
            jax.ShapeDtypeStruct(logits.shape[1:], jnp.float32),
        ],
        logits,
        _given(bias),
        targets,
        weights,
        # The memory of float32 logits takes their gradient.
        aliases={0: 0} if dtype == "float32" else None,
    )
    return d_logits, found, correct.astype(jnp.float32), d_bias


def _of_rows(targets: Array) -> list[jax.ShapeDtypeStruct]:
    types = (jnp.float32, jnp.bool_)
    return [jax.ShapeDtypeStruct(targets.shape, dtype) for dtype in types]


def _given(bias: Array | None) -> Array:
    """The bias, or the array without elements that stands for none."""
    return np.zeros((0,), np.float32) if bias is None else bias.astype(jnp.float32)
