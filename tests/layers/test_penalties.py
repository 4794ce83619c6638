"""Activation penalties against a float64 loop, alone and in a model's training."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from keras_rnnlm.layers.penalties import activation_penalty
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.weights import named_weights, weight_arrays
from tests.models.tiny import stream

NUMPY = ops.convert_to_numpy


def reference(dropped: Any, raw: Any, weights: Any, alpha: float, beta: float) -> float:
    """The two sums of the paper, position by position."""
    dropped, raw, weights = (np.asarray(a, "float64") for a in (dropped, raw, weights))
    rows, steps, _ = raw.shape
    level = change = counted = pairs = 0.0
    for b in range(rows):
        for t in range(steps):
            level += weights[b, t] * (dropped[b, t] ** 2).mean()
            counted += weights[b, t]
            if t > 0:
                change += weights[b, t] * ((raw[b, t] - raw[b, t - 1]) ** 2).mean()
                pairs += weights[b, t]
    return alpha * level / counted + (beta * change / pairs if pairs else 0.0)


@pytest.mark.parametrize(
    ("alpha", "beta", "steps", "dtype"),
    [(2.0, 1.0, 5, "float32"), (0.0, 3.0, 4, "bfloat16"), (2.0, 1.0, 1, "float32")],
)
def test_the_sums_of_the_paper(
    alpha: float, beta: float, steps: int, dtype: str
) -> None:
    rng = np.random.default_rng(0)
    raw = ops.cast(rng.normal(size=(3, steps, 7)), dtype)
    dropped = ops.cast(rng.normal(size=(3, steps, 7)), dtype)
    weights = (np.arange(steps) < np.array([[steps], [2], [1]])).astype("float32") / 9
    found = activation_penalty(dropped, raw, weights, alpha, beta)
    wide = (NUMPY(ops.cast(a, "float32")) for a in (dropped, raw))
    assert float(found) == pytest.approx(
        reference(*wide, weights, alpha, beta), rel=1e-5
    )


def model(**options: Any) -> RNNLM:
    return RNNLM(11, **{"units": 6, "layers": 2, "seed": 3, **options})


def test_the_training_loss_holds_the_penalty_and_the_logs_say_how_much() -> None:
    batches = stream(11, 2, 3)
    network = model(activation_penalty=2e3, temporal_penalty=1e3)
    network.compile(keras.optimizers.SGD(0.0))
    logs = network.fit(batches, steps_per_epoch=1, epochs=1, verbose=0).history
    (x, y) = batches[0]
    state = network.initial_state(2)
    hidden, _ = network.hidden(x["tokens"], state)
    wanted = reference(NUMPY(hidden), NUMPY(hidden), np.ones((2, 3)), 2e3, 1e3)
    nats = NUMPY(network.cross_entropy(hidden, y).nats).mean()
    assert wanted > 1e-2
    assert logs["penalty"][0] == pytest.approx(wanted, rel=1e-4)
    assert logs["loss"][0] == pytest.approx(nats + wanted, rel=1e-5)
    found = network.evaluate(batches, verbose=0, return_dict=True)
    assert set(found) == {"loss", "accuracy", "perplexity"}


@pytest.mark.parametrize("one_pass", [True, False])
def test_the_penalty_moves_the_weights_as_its_slope_says(one_pass: bool) -> None:
    """One step of SGD against central differences of the whole loss."""
    tokens = (np.arange(12).reshape(2, 6) * 7) % 11
    targets = (tokens * 3 + 1) % 11
    options = {"activation_penalty": 30.0, "temporal_penalty": 50.0}
    network = model(**options)
    network.compile(keras.optimizers.SGD(1.0))
    network.one_pass = one_pass
    before = weight_arrays(network)
    network.train_on_batch(tokens, targets)
    moved = {n: before[n] - a for n, a in weight_arrays(network).items()}

    def loss() -> float:
        hidden, _ = network.hidden(tokens, network.initial_state(2))
        nats = NUMPY(network.cross_entropy(hidden, targets).nats).mean()
        h = NUMPY(hidden)
        return float(nats) + reference(h, h, np.ones((2, 6)), 30.0, 50.0)

    for name, place in (("recurrent.1.bias", (7,)), ("embedding.weight", (3, 2))):
        slopes = []
        for sign in (1, -1):
            shifted = {n: a.copy() for n, a in before.items()}
            shifted[name][place] += sign * 5e-3
            for n, variable in named_weights(network).items():
                variable.assign(shifted[n])
            slopes.append(sign * loss() / 1e-2)
        assert moved[name][place] == pytest.approx(sum(slopes), rel=0.02, abs=2e-4)


def test_padding_does_not_count_beside_a_foreign_metric() -> None:
    tokens = (np.arange(12).reshape(2, 6) * 7) % 11
    targets = (tokens * 3 + 1) % 11
    counts = (np.arange(6) < np.array([[6], [2]])).astype("float32")
    network = model(activation_penalty=2e3, temporal_penalty=1e3)
    network.compile(keras.optimizers.SGD(0.0), weighted_metrics=["accuracy"])
    assert not network.one_pass
    found = network.train_on_batch(tokens, targets, counts, return_dict=True)
    hidden, _ = network.hidden(tokens, network.initial_state(2))
    wanted = reference(NUMPY(hidden), NUMPY(hidden), counts, 2e3, 1e3)
    nats = NUMPY(network.cross_entropy(hidden, targets).nats)
    wanted += (nats * counts).sum() / counts.sum()
    assert found["loss"] == pytest.approx(wanted, rel=1e-4)


def test_dropout_between_layers_and_after_the_last_have_rates_of_their_own() -> None:
    network = model(layers=3, dropout=0.1, output_dropout=0.4)
    assert [layer.rate for layer in network.dropouts] == [0.1, 0.1, 0.4]
    assert network.input_dropout.rate == 0.1
    assert [layer.rate for layer in model(dropout=0.3).dropouts] == [0.3, 0.3]
    again = RNNLM.from_config(network.get_config())
    assert again.get_config() == network.get_config()
