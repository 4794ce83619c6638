"""A copy of a network's weights that learns segment by segment, on every backend."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.models.weights import weight_arrays

Ids = NDArray[np.int32]
Arrays = list[Any]


@dataclass(frozen=True)
class DynamicSettings:
    """How a model goes on learning.

    Attributes:
        rate: Learning rate, as of SGD on the mean nats of a segment's tokens.
        decay: Share of the way back to the trained weights, for each segment.
        segment: Tokens in a segment.
        scaled: Whether rate and decay are scaled by the gradients on training text.
        epsilon: Added to that scale, whose mean is 1; of the scaled form alone.

    Raises:
        ConfigError: For a negative rate, a decay that is not from 0 to 1, a segment
            below 1, or an epsilon that is not above 0.
    """

    rate: float = 0.5
    decay: float = 0.0
    segment: int = 20
    scaled: bool = False
    epsilon: float = 0.1

    def __post_init__(self) -> None:
        """Check the values."""
        for name, good, expected in (
            ("rate", 0 <= self.rate < np.inf, "0 or more"),
            ("decay", 0 <= self.decay <= 1, "from 0 to 1"),
            ("segment", self.segment >= 1, "1 or more"),
            ("epsilon", 0 < self.epsilon < np.inf, "above 0"),
        ):
            if not good:
                raise ConfigError(
                    f"Expected the {name} of dynamic evaluation to be {expected}, "
                    f"received {getattr(self, name)}."
                )


class Learner(ABC):
    """Weights that begin as the trained ones and change with what is read."""

    _network: keras.Model

    @abstractmethod
    def begin(self) -> None:
        """Go back to the trained weights and a zero state."""

    @abstractmethod
    def read(
        self, inputs: Ids, targets: Ids, weights: NDArray[np.float32]
    ) -> tuple[Any, Any]:
        """Score a segment with the weights as they stand, then learn from it.

        Args:
            inputs: (1, T) ids.
            targets: (1, T) ids.
            weights: (1, T): of each target in the loss.

        Returns:
            Nats (temperatures, T) and hidden vectors (T, D).
        """

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return all weights of the network by name, as they stand."""
        return weight_arrays(self._network)

    def end(self) -> None:
        """Put back what was changed; by default nothing of the network's was."""
        return


def make_learner(
    network: keras.Model,
    settings: DynamicSettings,
    scale: Arrays | None,
    temperatures: Sequence[float],
) -> Learner:
    """Return the learner of the active backend.

    Args:
        network: An `RNNLM` in float32.
        settings: How it learns.
        scale: For the scaled form an array for each trainable weight, in their order:
            RMS of gradients over their mean.
        temperatures: At which nats are given.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        from keras_rnnlm.scoring.jax_learning import JaxLearner

        return JaxLearner(network, settings, scale, temperatures)
    if backend == "tensorflow":
        from keras_rnnlm.scoring.tensorflow_learning import TensorFlowLearner

        return TensorFlowLearner(network, settings, scale, temperatures)
    from keras_rnnlm.scoring.torch_learning import TorchLearner

    return TorchLearner(network, settings, scale, temperatures)


def add_squares(
    network: keras.Model, inputs: Ids, targets: Ids, state: Any, sums: Arrays | None
) -> tuple[Any, Arrays]:
    """Add the squares of a batch's gradient to sums of such squares.

    Args:
        network: An `RNNLM` in float32.
        inputs: (B, T) ids.
        targets: (B, T) ids; the loss is the mean of their nats.
        state: The state before the batch.
        sums: As returned for the batch before; None at first. They are given away.

    Returns:
        The state after the batch, and the sums, one for each trainable weight.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        from keras_rnnlm.scoring import jax_learning

        return jax_learning.add_squares(network, inputs, targets, state, sums)
    if backend == "tensorflow":
        from keras_rnnlm.scoring import tensorflow_learning

        return tensorflow_learning.add_squares(network, inputs, targets, state, sums)
    from keras_rnnlm.scoring import torch_learning

    return torch_learning.add_squares(network, inputs, targets, state, sums)
