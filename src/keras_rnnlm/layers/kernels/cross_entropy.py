"""The negative log-likelihood of targets under logits, from logits, in nats."""

from typing import Any

import keras
from keras import ops

Array = Any


def sparse_cross_entropy(logits: Array, targets: Array) -> Array:
    """-log softmax(logits)[target] of every position.

    Args:
        logits: (..., V) in float32 or float64.
        targets: (...) of integers in [0, V), or of the same in float32, as Keras hands
            them to a loss; a target outside is not detected.

    Returns:
        Nats, (...), in the precision of the logits.

    Raises:
        ValueError: if the logits have 16 bits or the shapes do not fit.
    """
    logits = ops.convert_to_tensor(logits)
    dtype = keras.backend.standardize_dtype(logits.dtype)
    if dtype not in ("float32", "float64"):
        raise ValueError(
            f"sparse_cross_entropy expected logits in float32 or float64, received "
            f"{dtype}: cast the logits, or better compute them in float32."
        )
    if len(logits.shape) != len(targets.shape) + 1:
        raise ValueError(
            "sparse_cross_entropy expected logits (..., V) with one axis more than "
            f"targets (...), received {tuple(logits.shape)} and "
            f"{tuple(targets.shape)}."
        )
    targets = ops.cast(targets, "int32")
    if keras.backend.backend() == "jax":
        from keras_rnnlm.layers.kernels import jax_cross_entropy

        return jax_cross_entropy.sparse_cross_entropy(logits, targets)
    largest = ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))
    # Subtracted first: beside a logit of 1e4, float32 would round nats to 1e-3.
    shifted = logits - largest
    chosen = ops.take_along_axis(shifted, ops.expand_dims(targets, -1), axis=-1)
    return ops.log(ops.sum(ops.exp(shifted), axis=-1)) - ops.squeeze(chosen, axis=-1)
