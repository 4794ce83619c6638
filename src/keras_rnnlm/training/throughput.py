"""How many tokens a second this machine trains with, measured by training."""

import math
import time
from typing import Any

import keras

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.training.brief import train_briefly
from keras_rnnlm.training.pending import number
from keras_rnnlm.training.schedules import compiles

SECONDS = 2.0
_FIRST = 3
"""Steps that do not count: the first compiles, the next ones fill caches."""
_FEWEST = 3


def tokens_per_second(
    corpus: Corpus, settings: Settings, seconds: float = SECONDS
) -> float:
    """Train a new network for a moment; compilation does not count.

    Args:
        corpus: Its training text.
        settings: Of network and optimizer.
        seconds: How long to go on, three steps at least.

    Raises:
        ConfigError: A network that would not fit into memory.
    """
    clock = train_briefly(corpus, settings, lambda batches, _: _Clock(seconds, batches))
    return float(clock.tokens / clock.taken)


class _Clock(keras.callbacks.Callback):
    """Times the steps of a `fit` after the first few, and ends it."""

    def __init__(self, seconds: float, batches: Any) -> None:
        super().__init__()
        self.tokens, self.taken = 0, 0.0
        self._tokens_per_batch = batches.tokens_per_batch
        self._shapes = len(batches.lengths)
        self._seconds, self._last = seconds, 0.0
        self._took: list[float] = []
        self._previous: Any = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        done = batch + 1
        if done == _FIRST:
            number(logs["loss"])  # waits for the end of the step
            self._last = time.perf_counter()
        elif done > _FIRST:
            # The step before, so that the next one is prepared meanwhile.
            if self._previous is not None:
                number(self._previous["loss"])
            self._end_step()
            if sum(self._took) >= self._seconds and self._enough():
                number(logs["loss"])
                self.taken += time.perf_counter() - self._last
                self.model.stop_training = True
        self._previous = logs

    def _end_step(self) -> None:
        now = time.perf_counter()
        self._took.append(now - self._last)
        self._last = now

    def _enough(self) -> bool:
        """Sum up the steps that compiled no new shape; whether they are enough."""
        # The first one's loss may have been there before it was asked for.
        quickest = min(self._took[1:], default=math.inf)
        ordered = sorted(self._took)
        while len(self._took) - len(ordered) < self._shapes - 1 and compiles(
            ordered[-1], quickest
        ):
            ordered.pop()
        self.taken = sum(ordered)
        self.tokens = len(ordered) * self._tokens_per_batch
        return self.taken >= self._seconds and len(ordered) >= _FEWEST
