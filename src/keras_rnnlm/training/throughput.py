"""How many tokens a second this machine trains with, measured by training."""

import time
from typing import Any

import keras

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.training.brief import train_briefly
from keras_rnnlm.training.pending import number

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
    clock = train_briefly(
        corpus, settings, lambda batches, _: _Clock(seconds, batches.tokens_per_batch)
    )
    return float(clock.tokens / clock.taken)


class _Clock(keras.callbacks.Callback):
    """Times the steps of a `fit` after the first few, and ends it."""

    def __init__(self, seconds: float, tokens_per_batch: int) -> None:
        super().__init__()
        self.tokens, self.taken = 0, 0.0
        self._tokens_per_batch = tokens_per_batch
        self._seconds, self._begun = seconds, 0.0
        self._previous: Any = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        done = batch + 1
        if done == _FIRST:
            number(logs["loss"])  # waits for the end of the step
            self._begun = time.perf_counter()
        elif done > _FIRST:
            # The step before, so that the next one is prepared meanwhile.
            if self._previous is not None:
                number(self._previous["loss"])
            passed = time.perf_counter() - self._begun
            if passed >= self._seconds and done - _FIRST >= _FEWEST:
                number(logs["loss"])
                self.taken = time.perf_counter() - self._begun
                self.tokens = (done - _FIRST) * self._tokens_per_batch
                self.model.stop_training = True
        self._previous = logs
