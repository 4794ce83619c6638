"""Penalties on what a recurrent network computes, rather than on its weights."""

from typing import Any

from keras import ops

Array = Any


def activation_penalty(
    dropped: Array, raw: Array, weights: Array, activation: float, temporal: float
) -> Array:
    """Activation and temporal activation regularisation (Merity et al. 2017).

    AR = alpha L2(m * h_t) and TAR = beta L2(h_t - h_(t+1)), as the authors compute
    them: means of squares over features and positions, with AR after the dropout mask
    m and TAR before it.

    Args:
        dropped: (B, T, D): outputs of the last recurrent layer after dropout.
        raw: (B, T, D): the same before dropout.
        weights: (B, T): of each position; only their proportions matter. TAR counts a
            pair of neighbours by the weight of the later one.
        activation: alpha of AR.
        temporal: beta of TAR.

    Returns:
        The sum of both, a float32 scalar, in the unit of the loss (nats).
    """
    weights = ops.cast(weights, "float32")
    total = ops.zeros((), "float32")
    if activation:
        total = total + activation * _mean_square(dropped, weights)
    if temporal:
        change = ops.cast(raw, "float32")
        change = change[:, 1:] - change[:, :-1]
        # In a sequence of one step there is no pair: the sums are empty, hence zero.
        total = total + temporal * _mean_square(change, weights[:, 1:])
    return total


def _mean_square(x: Array, weights: Array) -> Array:
    squares = ops.mean(ops.square(ops.cast(x, "float32")), axis=-1)
    return ops.sum(weights * squares) / ops.maximum(ops.sum(weights), 1e-9)
