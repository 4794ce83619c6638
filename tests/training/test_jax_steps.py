"""Steps that nobody waits for give what Keras's own give."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.weights import weight_arrays
from keras_rnnlm.training.pending import Pending, number
from tests.conftest import only_on
from tests.models.tiny import stream

STEPS = 12


def rate(step: int) -> float:
    return 0.02 / (1 + step)


class Steering(keras.callbacks.Callback):
    """Sets a rate before each step, by the model or by a function."""

    def __init__(self, set_rate: Callable[[float], None] | None) -> None:
        super().__init__()
        self.set_rate = set_rate
        self.losses: list[Any] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.set_rate is None:
            self.model.optimizer.learning_rate = rate(batch)
        else:
            self.set_rate(rate(batch))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.losses.append(logs["loss"])


def fitted(precision: str, pending: bool) -> tuple[RNNLM, Steering]:
    from keras_rnnlm.training.jax_steps import PendingSteps

    batches = stream(11, 4, 3)
    network = RNNLM(11, units=8, layers=1, dropout=0.3, seed=3, dtype=precision)
    optimizer: Any = keras.optimizers.Adam(0.5)
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    network.compile(optimizer=optimizer, weighted_metrics=[])
    network.optimizer.build(network.trainable_variables)
    network.allocate_state(4, training=True)
    network.allocate_state(4, training=False)
    set_rate = PendingSteps(network).set_learning_rate if pending else None
    steering = Steering(set_rate)
    network.fit(
        batches, epochs=1, steps_per_epoch=STEPS, verbose=0, callbacks=[steering]
    )
    return network, steering


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_weights_losses_and_rates_are_those_of_keras(precision: str) -> None:
    only_on("jax")
    network, steering = fitted(precision, pending=True)
    other, wanted = fitted(precision, pending=False)
    for name, array in weight_arrays(other).items():
        np.testing.assert_array_equal(weight_arrays(network)[name], array)
    assert [number(loss) for loss in steering.losses] == wanted.losses
    assert all(isinstance(loss, Pending) for loss in steering.losses)
    for model in (network, other):
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        assert float(optimizer.learning_rate) == pytest.approx(rate(STEPS - 1))
        assert int(optimizer.iterations) == STEPS
