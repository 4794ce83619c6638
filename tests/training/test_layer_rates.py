"""Rates by layer and the pull back, against optimizers of one weight each."""

from typing import Any

import keras
import numpy as np
import pytest

from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.training.layer_rates import (
    depths,
    rate_scales,
    scaled_kind,
    trained_depths,
)


def test_depths_from_the_output_down() -> None:
    names = [
        "embedding.weight",
        "recurrent.0.kernel",
        "recurrent.1.kernel",
        "projection.kernel",
        "output.kernel",
        "output.bias",
    ]
    assert depths(names, tied=False) == [3, 2, 1, 0, 0, 0]
    assert depths(names, tied=True) == [0, 2, 1, 0, 0, 0]
    network = RNNLM(9, units=4, layers=3, tie_weights=False, seed=0)
    assert sorted(set(trained_depths(network))) == [0, 1, 2, 3, 4]


def test_layers_begin_from_the_output_down() -> None:
    layers = [0, 1, 2]
    scales = [rate_scales(layers, p, 0.5, 0.4).tolist() for p in (0.0, 0.2, 0.4, 1.0)]
    assert scales == [[1, 0, 0], [1, 0.5, 0], [1, 0.5, 0.25], [1, 0.5, 0.25]]
    assert rate_scales(layers, 0.0, 1.0, 0.0).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("name", "more"),
    [("Adam", {}), ("SGD", {}), ("RMSprop", {}), ("AdamW", {"weight_decay": 0.3})],
)
def test_each_weight_has_a_rate_of_its_own(name: str, more: dict[str, float]) -> None:
    kind: Any = getattr(keras.optimizers, name)
    values, scales = [np.array([1.0, -2.0]), np.array([3.0])], [1.0, 0.25]
    gradients = [np.array([0.5, -0.1]), np.array([2.0])]
    weights = [keras.Variable(v) for v in values]
    optimizer = scaled_kind(kind, 0.0)(learning_rate=0.1, **more)
    optimizer.build(weights)
    optimizer.rate_scales.assign(scales)
    alone = [keras.Variable(v) for v in values]
    own = [kind(learning_rate=0.1 * scale, **more) for scale in scales]
    for _ in range(3):
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], weights)
        for one, gradient, weight in zip(own, gradients, alone, strict=True):
            one.apply([keras.ops.convert_to_tensor(gradient)], [weight])
    for weight, expected in zip(weights, alone, strict=True):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(weight.value),
            keras.ops.convert_to_numpy(expected.value),
            rtol=1e-6,
        )


def test_the_pull_goes_back_to_the_first_values() -> None:
    first, rate, decay, scale = np.array([1.0, -2.0]), 0.1, 2.0, 0.5
    weight = keras.Variable(first)
    optimizer = scaled_kind(keras.optimizers.SGD, decay)(learning_rate=rate)
    optimizer.build([weight])
    optimizer.rate_scales.assign([scale])
    expected = first.copy()
    for gradient in ([1.0, 1.0], [0.5, -1.0], [0.0, 0.0], [0.0, 0.0]):
        optimizer.apply([keras.ops.convert_to_tensor(np.array(gradient))], [weight])
        back = expected - first
        expected = expected - scale * rate * (np.array(gradient) + decay * back)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(weight.value), expected, rtol=1e-6
    )
