"""Seconds that the steps of a Keras `fit` took, on any backend."""

import time
from typing import Any

import keras


class StepClock(keras.callbacks.Callback):
    """Times the steps of one `fit`, from the first one's start to the last one's end.

    JAX returns from a step before it is computed: reading the loss of the last one
    waits for the end of all.

    Attributes:
        seconds: Between the two, once `fit` has returned.
    """

    def __init__(self, steps: int) -> None:
        """Expect this number of steps."""
        super().__init__()
        self.steps = steps
        self.seconds = 0.0
        self._begun = 0.0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Start the clock before the first step."""
        if batch == 0:
            self._begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stop it after the last one."""
        if batch == self.steps - 1:
            float(logs["loss"])
            self.seconds = time.perf_counter() - self._begun
