"""Averages of the weights against averages of the weights, taken step by step."""

from typing import Any

import keras
import numpy as np
import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.weights import weight_arrays
from keras_rnnlm.training.averaging import (
    ETA,
    averaged_variables,
    begin_average,
    current_weights,
    is_triggered,
    with_weights,
)
from keras_rnnlm.training.optimizers import build_optimizer
from tests.models.tiny import stream


class Watching(keras.callbacks.Callback):
    """Begins to average after some steps; remembers weights and averages."""

    def __init__(self, begin: int) -> None:
        super().__init__()
        self.begin = begin
        self.weights: list[np.ndarray] = []
        self.averages: list[np.ndarray] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch == self.begin:
            begin_average(self.model.optimizer)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        (average, *_) = averaged_variables(self.model.optimizer) or []
        self.averages.append(keras.ops.convert_to_numpy(average.value).copy())
        self.weights.append(weight_arrays(self.model)["embedding.weight"])


@pytest.mark.parametrize(
    ("options", "decay"),
    [({"averaging": "swa"}, 1.0), ({"average": 0.4}, 0.4)],
)
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_the_average_is_the_average(
    options: dict[str, Any], decay: float, precision: str
) -> None:
    network = RNNLM(11, units=5, layers=1, seed=3, dtype=precision)
    optimizer = build_optimizer(Settings(learning_rate=0.05, **options))
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=8.0)
    network.compile(optimizer)
    watching = Watching(begin=4)
    batches = stream(11, 2, 3)
    network.fit(batches, steps_per_epoch=12, verbose=0, callbacks=[watching])
    for step in range(4):
        np.testing.assert_array_equal(watching.averages[step], watching.weights[step])
    average = watching.weights[4].astype("float64")
    for step in range(4, 12):
        eta = 0 if decay == 1.0 else ETA
        kept = min(decay, (step - 4) / (step - 4 + eta + 1))
        average = kept * average + (1 - kept) * watching.weights[step]
        np.testing.assert_allclose(watching.averages[step], average, atol=1e-6)
    if decay == 1.0:
        mean = np.mean(watching.weights[4:], axis=0, dtype="float64")
        np.testing.assert_allclose(watching.averages[-1], mean, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_weights_are_their_own_average_until_a_step_changes_them(
    precision: str,
) -> None:
    """Under mixed_float16 the first steps may overflow and change nothing."""
    network = RNNLM(11, units=5, layers=1, seed=3, dtype=precision)
    network.compile(build_optimizer(Settings(average=0.9)))
    network.optimizer.build(network.trainable_variables)
    begin_average(network.optimizer)
    own = weight_arrays(network)
    kept = current_weights(network)
    assert set(kept) == set(own)
    for name, array in own.items():
        np.testing.assert_array_equal(kept[name], array)
    seen = with_weights(network, kept, weight_arrays)
    np.testing.assert_array_equal(seen["embedding.weight"], own["embedding.weight"])


def test_the_trigger_is_that_of_algorithm_1() -> None:
    def reference(logs: list[float], n: int) -> int | None:
        """The first check t at which t > n and v > min of logs[0..t-n-1]."""
        for t, v in enumerate(logs):
            if t > n and v > min(logs[: t - n]):
                return t
        return None

    rng = np.random.default_rng(0)
    for _ in range(200):
        logs = (np.linspace(3, 1, 20) + rng.normal(0, 0.3, 20)).tolist()
        n = int(rng.integers(0, 7))
        found = [t for t in range(20) if is_triggered(logs[: t + 1], n)]
        wanted = reference(logs, n)
        assert (found[0] if found else None) == wanted


def test_an_optimizer_that_averages_steps_as_one_that_does_not() -> None:
    def trained(**options: Any) -> dict[str, np.ndarray]:
        network = RNNLM(11, units=5, layers=1, seed=3)
        network.compile(build_optimizer(Settings(learning_rate=0.05, **options)))
        network.fit(stream(11, 2, 3), steps_per_epoch=6, verbose=0)
        return weight_arrays(network)

    plain, averaged = trained(), trained(averaging="nt_asgd")
    for name, array in plain.items():
        np.testing.assert_allclose(averaged[name], array, atol=1e-6)
