"""The learning-rate range test: what the loss does while the rate rises.

Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3: train
a new network for a few steps while the learning rate rises from far too low to far too
high. The loss falls slowly, then quickly, then no longer, and at last it climbs.
"""

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import ConfigError, TrainingError
from keras_rnnlm.setting_values import check_least
from keras_rnnlm.training.brief import train_briefly
from keras_rnnlm.training.pending import number

Floats = NDArray[np.float64]

STEPS = 120
SPAN = 100.0
"""From the rate of the settings divided by this to that rate times this."""
CLIMB = 1.0
"""Nats above the lowest mean at which the test has seen enough."""
HALF = 4
"""Steps before and after one that its mean takes in."""


@dataclass(frozen=True)
class RangeTest:
    """What came of a range test.

    Attributes:
        rates: Learning rate of each step, float64 of shape (n,), rising.
        losses: Loss of each step before its update, nats a token, (n,).
        diverged: Whether the loss climbed before the rates were at their end.
    """

    rates: Floats
    losses: Floats
    diverged: bool

    @property
    def smoothed(self) -> Floats:
        """Mean loss of a step and its neighbours, nats a token, (n,)."""
        sums = np.concatenate([[0.0], np.cumsum(self.losses)])
        middle = np.arange(len(self.losses))
        first = np.maximum(middle - HALF, 0)
        last = np.minimum(middle + HALF + 1, len(middle))
        means: Floats = (sums[last] - sums[first]) / (last - first)
        return means

    @property
    def lowest(self) -> float:
        """The rate at which the mean loss was lowest: beyond it training gets worse."""
        return float(self.rates[np.argmin(self.smoothed)])

    def to_dict(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return {
            "rates": self.rates.tolist(),
            "losses": self.losses.tolist(),
            "diverged": self.diverged,
            "lowest": self.lowest,
        }


def range_test(
    corpus: Corpus,
    settings: Settings,
    *,
    low: float | None = None,
    high: float | None = None,
    steps: int = STEPS,
) -> RangeTest:
    """Train a new network while the rate rises by the same factor from step to step.

    Args:
        corpus: Its training text is read from the beginning.
        settings: Of network and optimizer; schedule and averages do not count.
        low: First rate; a hundredth of that of the settings if absent.
        high: Last rate; a hundred times that of the settings if absent.
        steps: Most steps; fewer are taken where the loss climbs before.

    Raises:
        ConfigError: Fewer than 10 steps, `low` not below `high`, or a network that
            would not fit into memory.
        TrainingError: The loss was no number from the very first step.
    """
    check_least("steps", steps, 10)
    low = settings.learning_rate / SPAN if low is None else low
    high = settings.learning_rate * SPAN if high is None else high
    if not 0 < low < high < math.inf:
        raise ConfigError(
            "Expected a first learning rate above 0 and below the last one; received "
            f"{low:g} and {high:g}."
        )
    rates = np.geomspace(low, high, steps)
    rise = train_briefly(corpus, settings, lambda _, set_rate: _Rise(rates, set_rate))
    if not rise.losses:
        raise TrainingError(
            "The loss of the first step is not a number, at any learning rate. Look at "
            f"precision={settings.precision} and at the settings of the cell."
        )
    losses = np.array(rise.losses)
    return RangeTest(rise.rates[: len(losses)], losses, rise.diverged)


class _Rise(keras.callbacks.Callback):
    """Sets the rate before each step of a `fit`, and keeps the loss after it."""

    def __init__(self, rates: Floats, set_rate: Any) -> None:
        super().__init__()
        self.rates, self.losses, self.diverged = rates, list[float](), False
        self._set_rate = set_rate or self._tell_optimizer
        self._total = 0.0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._set_rate(float(self.rates[batch]))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        # Keras's loss is the mean of all steps so far.
        total = number(logs["loss"]) * (batch + 1)
        loss, self._total = total - self._total, total
        if math.isfinite(loss):
            self.losses.append(loss)
        self.diverged = not math.isfinite(loss) or self._climbed()
        if self.diverged or batch + 1 == len(self.rates):
            self.model.stop_training = True

    def _climbed(self) -> bool:
        width = 2 * HALF + 1
        if len(self.losses) < 2 * width:
            return False
        means = np.convolve(self.losses, np.ones(width) / width, "valid")
        return bool(means[-1] > means.min() + CLIMB)

    def _tell_optimizer(self, rate: float) -> None:
        self.model.optimizer.learning_rate = rate
