"""A loss whose gradient is computed together with its value, on every backend.

Automatic differentiation keeps what the forward pass made until the backward pass comes
to it. A loss at the end of a network need not wait: its gradient is linear in the one
number that comes back, so it can be computed at once, chunk by chunk, and only has to
be multiplied by that number later.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

Array = Any
Arrays = tuple[Array | None, ...]


class Outcome(NamedTuple):
    """What a pass over the targets found.

    Attributes:
        loss: Sum over the positions of weight times nats; a scalar.
        nats: Negative log-likelihood of each target; without gradient.
        correct: 1.0 where the target was the likeliest, else 0.0; without gradient.
    """

    loss: Array
    nats: Array
    correct: Array

    def shaped(self, shape: Any) -> "Outcome":
        """The same with nats and correctness in another shape."""
        nats, correct = (ops.reshape(x, shape) for x in (self.nats, self.correct))
        return Outcome(self.loss, nats, correct)


Evaluate = Callable[..., Outcome]
Differentiate = Callable[..., tuple[Outcome, Arrays]]


def run(
    evaluate: Evaluate,
    differentiate: Differentiate,
    arrays: Arrays,
    others: Arrays,
    training: bool,
) -> Outcome:
    """Compute an outcome that can be differentiated by its loss.

    Args:
        evaluate: Called with `*arrays, *others`; written in plain operations.
        differentiate: Called likewise; returns the gradients of the loss by `arrays`
            beside the outcome, each of the shape of its array, or None for None.
        arrays: What the loss is differentiated by; None for an absent one.
        others: Targets, weights and the like.
        training: Whether the gradient will be asked for. JAX knows by itself; on other
            backends this decides which function is called, and a gradient that is
            wanted all the same comes from `evaluate` by automatic differentiation.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        return _jax(evaluate, differentiate, arrays, others)
    if not training:
        return evaluate(*arrays, *others)
    function = _tensorflow if backend == "tensorflow" else _torch
    return function(differentiate, arrays, others)


def _scaled(gradient: Array, by: Array, like: Array) -> Array:
    """The gradient for a cotangent of the loss, in the type of what it is of."""
    scaled = gradient * ops.cast(by, gradient.dtype)
    return ops.cast(scaled, keras.backend.standardize_dtype(like))


def _jax(
    evaluate: Evaluate, differentiate: Differentiate, arrays: Arrays, others: Arrays
) -> Outcome:
    import jax
    import numpy as np

    types = [None if a is None else a.dtype for a in arrays]

    def nothing(other: Array) -> Array:
        if jax.numpy.issubdtype(other.dtype, jax.numpy.floating):
            return jax.numpy.zeros_like(other)
        return np.zeros(other.shape, jax.dtypes.float0)

    @jax.custom_vjp
    def function(arrays: Arrays, others: Arrays) -> Outcome:
        return evaluate(*arrays, *others)

    def forward(arrays: Arrays, others: Arrays) -> Any:
        outcome, gradients = differentiate(*arrays, *others)
        return outcome, (gradients, others)

    def backward(saved: Any, cotangent: Outcome) -> Any:
        gradients, others = saved
        found = tuple(
            None if g is None else _scaled(g, cotangent.loss, dtype)
            for g, dtype in zip(gradients, types, strict=True)
        )
        return found, jax.tree.map(nothing, others)

    function.defvjp(forward, backward)
    return function(arrays, others)


def _tensorflow(
    differentiate: Differentiate, arrays: Arrays, others: Arrays
) -> Outcome:
    import tensorflow as tf

    # Variables are read here: inside, TensorFlow would want their gradients apart.
    present = [tf.convert_to_tensor(a) for a in arrays if a is not None]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def function(*tensors: Array) -> Any:
        left = iter(tensors)
        given = [None if a is None else next(left) for a in arrays]
        outcome, gradients = differentiate(*given, *others)
        found = [g for g in gradients if g is not None]

        def backward(by: Array, *_: Array) -> list[Array]:
            return [
                _scaled(g, by, t.dtype) for g, t in zip(found, tensors, strict=True)
            ]

        return tuple(outcome), backward

    return Outcome(*function(*present))


def _torch(differentiate: Differentiate, arrays: Arrays, others: Arrays) -> Outcome:
    import torch

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *arrays: Array) -> Any:
            outcome, gradients = differentiate(*arrays, *others)
            ctx.mark_non_differentiable(outcome.nats, outcome.correct)
            ctx.types = [None if a is None else a.dtype for a in arrays]
            ctx.save_for_backward(*gradients)
            return tuple(outcome)

        @staticmethod
        def backward(ctx: Any, by: Array, *_: Array) -> Any:
            return tuple(
                None if g is None else (g * by.to(g.dtype)).to(dtype)
                for g, dtype in zip(ctx.saved_tensors, ctx.types, strict=True)
            )

    return Outcome(*Function.apply(*arrays))  # type: ignore[no-untyped-call,unused-ignore]
