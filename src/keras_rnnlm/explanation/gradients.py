"""Gradients of a prediction by the word vectors before it, on every backend."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.compiled import compiled_once


def directional_gradients(network: CausalLM) -> Callable[..., tuple[Any, Any]]:
    """Return a function of rows that lie on the way from a baseline to vectors.

    Its arguments:
        vectors: float32 (R, W, D), the vectors at the end of the way.
        baseline: (D,), the vector that stands in their place at its beginning.
        shares: (R,), how much of the way is done, 0 to 1.
        last: int32 (R,), the input whose prediction is meant, below W.
        targets: int32 (R,), the token that is predicted.
        state: of R rows, before the first vector.

    It returns natural-log probabilities (R,) of the targets, and (R, W): the derivative
    of each by each of its vectors, times the whole way of that vector.
    """
    return compiled_once(network, _gradients)


def _gradients(
    network: CausalLM,
    vectors: Any,
    baseline: Any,
    shares: Any,
    last: Any,
    targets: Any,
    state: Any,
) -> tuple[Any, Any]:
    way = vectors - baseline
    points = baseline + shares[:, None, None] * way

    def logs_of(points: Any) -> Any:
        hidden, _ = network.hidden_of(points, state)
        places = ops.broadcast_to(
            last[:, None, None], (last.shape[0], 1, hidden.shape[-1])
        )
        chosen = ops.take_along_axis(hidden, places, axis=1)
        # Not those of `cross_entropy`, whose loss alone can be differentiated.
        logs = network.log_probabilities(chosen)
        return ops.take_along_axis(logs, targets[:, None, None], axis=-1)[:, 0, 0]

    logs, gradients = _differentiated(logs_of, points)
    return logs, ops.sum(gradients * way, axis=-1)


def _differentiated(function: Callable[[Any], Any], points: Any) -> tuple[Any, Any]:
    """Return values (R,) of a function and their gradients by each row's point."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        def summed(points: Any) -> tuple[Any, Any]:
            values = function(points)
            return values.sum(), values

        gradients, values = jax.grad(summed, has_aux=True)(points)
        return values, gradients
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(points)
            values = function(points)
        return values, tf.convert_to_tensor(tape.gradient(values, points))
    import torch

    with torch.enable_grad():
        points = points.detach().requires_grad_()
        values = function(points)
        (gradients,) = torch.autograd.grad(values.sum(), points)
    return values.detach(), gradients
