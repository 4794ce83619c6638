"""Learning on PyTorch: the network's own weights change, and are put back."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import torch
from numpy.typing import NDArray

from keras_rnnlm.scoring.learning import Arrays, DynamicSettings, Ids, Learner
from keras_rnnlm.scoring.temperature import tempered_nats


class TorchLearner(Learner):
    """See `Learner`. The network's own weights change until `end`."""

    def __init__(
        self,
        network: keras.Model,
        settings: DynamicSettings,
        scale: Arrays | None,
        temperatures: Sequence[float],
    ) -> None:
        """See `learning.make_learner`."""
        self._network, self._settings = network, settings
        self._weights = [v.value for v in network.trainable_variables]
        self._trained = [w.detach().clone() for w in self._weights]
        convert = keras.ops.convert_to_tensor
        self._scale = None if scale is None else [convert(array) for array in scale]
        self._temperatures = (
            None if tuple(temperatures) == (1.0,) else torch.tensor(temperatures)
        )
        self._state: Any = None

    def begin(self) -> None:
        """See `Learner`."""
        with torch.no_grad():
            for weight, trained in zip(self._weights, self._trained, strict=True):
                weight.copy_(trained)
        self._state = self._network.initial_state(1)

    def read(
        self, inputs: Ids, targets: Ids, weights: NDArray[np.float32]
    ) -> tuple[Any, Any]:
        """See `Learner`."""
        convert = keras.ops.convert_to_tensor
        goal = convert(targets)
        with torch.enable_grad():
            hidden, state = self._network.hidden(convert(inputs), self._state)
            found = self._network.cross_entropy(hidden, goal, convert(weights))
            gradients = torch.autograd.grad(found.loss, self._weights)
        with torch.no_grad():
            nats = found.nats.detach()[None]
            if self._temperatures is not None:
                nats = tempered_nats(self._network, hidden, goal, self._temperatures)
            self._learn(gradients)
        self._state = keras.tree.map_structure(lambda s: s.detach(), state)
        return nats[:, 0], hidden.detach()[0]

    def end(self) -> None:
        """See `Learner`."""
        self.begin()

    def _learn(self, gradients: Any) -> None:
        rate, decay = self._settings.rate, self._settings.decay
        scales = self._scale or [None] * len(self._weights)
        for weight, gradient, trained, size in zip(
            self._weights, gradients, self._trained, scales, strict=True
        ):
            if size is None:
                change = -rate * gradient + decay * (trained - weight)
            else:
                back = torch.clamp(decay * size, max=1.0)
                step = rate * gradient / (size + self._settings.epsilon)
                change = -step + back * (trained - weight)
            weight.add_(change)


def add_squares(
    network: keras.Model, inputs: Ids, targets: Ids, state: Any, sums: Arrays | None
) -> tuple[Any, Arrays]:
    """See `learning.add_squares`."""
    convert = keras.ops.convert_to_tensor
    weights = [variable.value for variable in network.trainable_variables]
    even = np.full(targets.shape, 1 / targets.size, np.float32)
    with torch.enable_grad():
        hidden, state = network.hidden(convert(inputs), state)
        found = network.cross_entropy(hidden, convert(targets), convert(even))
        gradients = torch.autograd.grad(found.loss, weights)
    squares = [gradient.detach() ** 2 for gradient in gradients]
    if sums is not None:
        squares = [s + square for s, square in zip(sums, squares, strict=True)]
    return keras.tree.map_structure(lambda s: s.detach(), state), squares
