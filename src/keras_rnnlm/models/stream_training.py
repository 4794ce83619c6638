"""`fit`, `evaluate` and `predict` of a model that carries state along a stream."""

from abc import abstractmethod
from inspect import signature
from typing import Any

import keras

from keras_rnnlm.models.carried_state import CarriedState, State
from keras_rnnlm.models.one_pass_training import OnePassTraining
from keras_rnnlm.models.tensorflow_batches import with_open_lengths

_FIT = signature(keras.Model.fit)


class StreamTraining(OnePassTraining):
    """A model whose `carried` state has slots for the streams it is given."""

    carried: CarriedState

    @abstractmethod
    def initial_state(self, batch_size: Any) -> State:
        """Return the state of rows that begin."""

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Train as `keras.Model.fit` does, but in the order of the data.

        `shuffle` is False unless asked for, and refused for a stream, whose batches
        carry state from one to the next.

        Raises:
            ValueError: `shuffle=True` with a stream.
        """
        given = _FIT.bind(self, *args, **kwargs).arguments
        del given["self"]
        x, shuffle = given.get("x"), given.setdefault("shuffle", False)
        if shuffle and getattr(x, "ordered", False):
            raise ValueError(
                "Received shuffle=True for a stream, whose batches carry state from "
                "one to the next. Leave shuffle out; a stream varies its cuts by seed "
                "and epoch."
            )
        self._allocate(x, given.get("validation_data"))
        for name in {"x", "validation_data"} & given.keys():
            given[name] = with_open_lengths(given[name])
        return super().fit(**given)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluate as `keras.Model.evaluate` does; training's state stays as it is."""
        self._allocate(None, x)
        return super().evaluate(with_open_lengths(x), *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Predict as `keras.Model.predict` does; training's state stays as it is."""
        self._allocate(None, x)
        return super().predict(with_open_lengths(x), *args, **kwargs)

    def allocate_state(self, batch_size: int, training: bool) -> None:
        """Make room for the carried state of streams with `batch_size` rows."""
        if self.carried.allocate(self.initial_state(batch_size), training):
            # Compiled steps know the old variables.
            self.train_function = None
            self.test_function = None
            self.predict_function = None

    def _allocate(self, training: Any, evaluation: Any) -> None:
        if getattr(training, "ordered", False):
            self.allocate_state(training.batch_size, training=True)
            # Keras traces the model once outside training, with the same rows.
            self.allocate_state(training.batch_size, training=False)
        if getattr(evaluation, "ordered", False):
            self.allocate_state(evaluation.batch_size, training=False)
