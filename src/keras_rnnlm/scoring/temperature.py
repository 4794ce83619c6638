"""Softmax temperature: one number that makes a network as sure as it should be.

A network that was trained for long is too sure of itself on new text, one that was
trained briefly or with much dropout not sure enough. With logits z,

    p_T(w) = exp(z_w / T) / sum_v exp(z_v / T),

and T is fitted on validation text (Guo et al. 2017, "On calibration of modern neural
networks"). T above 1 makes all words more alike. Above the logits of one softmax the
same is done with its log-probabilities, which differ from them by a constant: so it
serves every output layer.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.errors import ConfigError

GRID = (0.8, 0.9, 1.0, 1.1, 1.2, 1.35)


def checked_temperatures(temperatures: Sequence[float]) -> tuple[float, ...]:
    """Return the temperatures as floats.

    Raises:
        ConfigError: Unless each is above 0 and finite, and there is one.
    """
    found = tuple(float(temperature) for temperature in temperatures)
    if not found or not all(0 < t < np.inf for t in found):
        raise ConfigError(
            f"Expected a temperature above 0, received {list(found)}. 1 leaves the "
            "model as it is; most lie between 0.8 and 1.3."
        )
    return found


def tempered_nats(
    network: keras.Model,
    hidden: Any,
    targets: Any,
    temperatures: Any,
    training: bool = False,
) -> Any:
    """Return the nats of targets at several temperatures, from one product.

    Args:
        network: A model with `logits`.
        hidden: (B, T, D).
        targets: int32 (B, T).
        temperatures: float32 (K,).
        training: Whether an output layer with dropout drops.

    Returns:
        Negative natural-log probabilities (K, B, T), float32.
    """
    logits = network.logits(hidden, training=training)
    # Subtracted first: beside a logit of 1e4, float32 would round nats to 1e-3.
    shifted = logits - ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))
    places = ops.expand_dims(targets, -1)
    chosen = ops.squeeze(ops.take_along_axis(shifted, places, axis=-1), axis=-1)
    rates = [1.0 / temperatures[k] for k in range(temperatures.shape[0])]
    return ops.stack(
        [ops.log(ops.sum(ops.exp(shifted * r), axis=-1)) - chosen * r for r in rates]
    )


def lowest(temperatures: Sequence[float], nats: NDArray[np.float64]) -> float:
    """Return the temperature at which nats are least, between those that were tried.

    Args:
        temperatures: (K,) ascending.
        nats: (K,) the sum of nats at each.

    Returns:
        The vertex of the parabola through the best one and its neighbours; the best
        one itself where it is the first or the last.
    """
    best = int(np.argmin(nats))
    if not 0 < best < len(temperatures) - 1:
        return float(temperatures[best])
    x = np.asarray(temperatures[best - 1 : best + 2], np.float64)
    curve = np.polyfit(x - x[1], nats[best - 1 : best + 2] - nats[best], 2)
    if curve[0] <= 0:
        return float(x[1])
    return float(np.clip(x[1] - curve[1] / (2 * curve[0]), x[0], x[2]))


def logs_at(
    temperature: float, temperatures: Sequence[float], nats: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return log-probabilities at a temperature between those that were tried.

    On the parabola through the three nearest points, close enough to fit weights on.

    Args:
        temperature: Wanted.
        temperatures: (K,) tried, three or more.
        nats: (K, predictions) at each.
    """
    tried = np.asarray(temperatures)
    near = np.argsort(np.abs(tried - temperature))[:3]
    x = tried[near]
    result = np.zeros(nats.shape[1])
    for i, place in enumerate(near):
        others = np.delete(x, i)
        share = np.prod((temperature - others) / (x[i] - others))
        result -= share * nats[place]
    return result
