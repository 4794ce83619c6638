"""Learning on TensorFlow: the network's own weights change, and are put back."""

import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_rnnlm.scoring.learning import Arrays, DynamicSettings, Ids, Learner
from keras_rnnlm.scoring.temperature import tempered_nats

# By network, which an entry holds by a weak proxy.
_programs: "weakref.WeakKeyDictionary[keras.Model, Callable[..., Any]]"
_programs = weakref.WeakKeyDictionary()


class TensorFlowLearner(Learner):
    """See `Learner`. The network's own weights change until `end`."""

    def __init__(
        self,
        network: keras.Model,
        settings: DynamicSettings,
        scale: Arrays | None,
        temperatures: Sequence[float],
    ) -> None:
        """See `learning.make_learner`."""
        self._network = network
        self._weights = network.trainable_variables
        self._trained = [tf.identity(v.value) for v in self._weights]
        self._scale = None if scale is None else list(map(tf.constant, scale))
        self._temperatures = (
            None
            if tuple(temperatures) == (1.0,)
            else tf.constant(temperatures, tf.float32)
        )
        self._rates = tf.constant(
            [settings.rate, settings.decay, settings.epsilon],
            keras.backend.standardize_dtype(network.variable_dtype),
        )
        self._state: Any = None
        self._step = _program(network)

    def begin(self) -> None:
        """See `Learner`."""
        for weight, trained in zip(self._weights, self._trained, strict=True):
            weight.assign(trained)
        self._state = self._network.initial_state(1)

    def read(
        self, inputs: Ids, targets: Ids, weights: NDArray[np.float32]
    ) -> tuple[Any, Any]:
        """See `Learner`."""
        given = map(tf.convert_to_tensor, (inputs, targets, weights))
        nats, hidden, self._state = self._step(
            *given,
            self._state,
            self._trained,
            self._scale,
            self._temperatures,
            self._rates,
        )
        return nats, hidden

    def end(self) -> None:
        """See `Learner`."""
        self.begin()


def _program(network: keras.Model) -> Callable[..., Any]:
    """Return `_read` of a network as a graph, the same one for all learners."""
    if network not in _programs:
        _programs[network] = tf.function(partial(_read, weakref.proxy(network)))
    return _programs[network]


def _read(
    network: keras.Model,
    inputs: Any,
    targets: Any,
    weights: Any,
    state: Any,
    trained: Arrays,
    scale: Arrays | None,
    temperatures: Any,
    rates: Any,
) -> Any:
    """Score a segment and learn from it; this runs inside the graph."""
    found, hidden, state, gradients = _differentiate(
        network, inputs, targets, weights, state
    )
    nats = found.nats[None]
    if temperatures is not None:
        nats = tempered_nats(network, hidden, targets, temperatures)
    # The weights that scored change only after all of that has read them.
    with tf.control_dependencies([nats, hidden, *gradients]):
        _learn(network.trainable_variables, gradients, trained, scale, rates)
    return nats[:, 0], hidden[0], state


def _learn(
    weights: Arrays, gradients: Any, trained: Arrays, scale: Arrays | None, rates: Any
) -> None:
    rate, decay, epsilon = tf.unstack(rates)
    scales = scale or [None] * len(weights)
    for weight, gradient, start, size in zip(
        weights, gradients, trained, scales, strict=True
    ):
        value = weight.value
        if size is None:
            change = -rate * gradient + decay * (start - value)
        else:
            back = tf.minimum(decay * size, 1.0)
            step = rate * gradient / (size + epsilon)
            change = -step + back * (start - value)
        weight.assign(value + change)


def add_squares(
    network: keras.Model, inputs: Ids, targets: Ids, state: Any, sums: Arrays | None
) -> tuple[Any, Arrays]:
    """See `learning.add_squares`."""
    even = np.full(targets.shape, 1 / targets.size, np.float32)
    x, y, w = (tf.convert_to_tensor(array) for array in (inputs, targets, even))
    _, _, state, gradients = _differentiate(network, x, y, w, state)
    squares = [tf.square(gradient) for gradient in gradients]
    if sums is not None:
        squares = [s + square for s, square in zip(sums, squares, strict=True)]
    return state, squares


def _differentiate(
    network: keras.Model, inputs: Any, targets: Any, weights: Any, state: Any
) -> tuple[Any, Any, Any, Arrays]:
    """Return what was found, hidden vectors, the new state and dense gradients."""
    values = [variable.value for variable in network.trainable_variables]
    with tf.GradientTape() as tape:
        hidden, state = network.hidden(inputs, state)
        found = network.cross_entropy(hidden, targets, weights)
    gradients = tape.gradient(found.loss, values)
    return found, hidden, state, [tf.convert_to_tensor(g) for g in gradients]
