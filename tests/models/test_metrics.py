"""Loss and perplexity divide by the tokens that count."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rnnlm.models.metrics import Perplexity, TokenAccuracy, TokenCrossEntropy

RANDOM = np.random.default_rng(1)
LOGITS = RANDOM.normal(size=(3, 4, 7)).astype("float32")
TARGETS = RANDOM.integers(0, 7, (3, 4))


def reference() -> np.ndarray:
    """Nats of each target in float64."""
    logits = LOGITS.astype("float64")
    log_sum = np.log(np.exp(logits).sum(-1))
    return log_sum - np.take_along_axis(logits, TARGETS[..., None], -1)[..., 0]


def test_the_loss_is_the_mean_over_all_tokens() -> None:
    found = float(ops.convert_to_numpy(TokenCrossEntropy()(TARGETS, LOGITS)))
    assert found == pytest.approx(reference().mean(), rel=1e-6)


def test_a_masked_loss_divides_by_the_counted_tokens() -> None:
    mask = RANDOM.integers(0, 2, (3, 4)).astype("float32")
    found = float(ops.convert_to_numpy(TokenCrossEntropy()(TARGETS, LOGITS, mask)))
    assert found == pytest.approx((reference() * mask).sum() / mask.sum(), rel=1e-6)


def test_weights_of_rows_are_weights_of_their_tokens() -> None:
    rows = np.array([1.0, 0.0, 2.0], "float32")
    found = float(ops.convert_to_numpy(TokenCrossEntropy()(TARGETS, LOGITS, rows)))
    expected = (reference() * rows[:, None]).sum() / (rows.sum() * 4)
    assert found == pytest.approx(expected, rel=1e-6)


def test_nothing_counted_is_no_error() -> None:
    none = np.zeros((3, 4), "float32")
    found = float(ops.convert_to_numpy(TokenCrossEntropy()(TARGETS, LOGITS, none)))
    assert found == 0.0


def test_perplexity_sums_before_it_divides() -> None:
    metric = Perplexity()
    metric.update_state(TARGETS[:1], LOGITS[:1])
    metric.update_state(TARGETS[1:], LOGITS[1:])
    found = float(ops.convert_to_numpy(metric.result()))
    assert found == pytest.approx(np.exp(reference().mean()), rel=1e-5)


@pytest.mark.parametrize("weights", [None, [[1.0, 0, 1, 0], [0] * 4, [1] * 4]])
def test_accuracy_equals_that_of_keras(weights: list[list[float]] | None) -> None:
    ties = np.round(LOGITS)  # many logits are equal: argmax takes the first
    ours = TokenAccuracy()
    theirs = keras.metrics.SparseCategoricalAccuracy()
    for metric in (ours, theirs):
        metric.update_state(TARGETS, ties, sample_weight=weights)
    assert float(ours.result()) == pytest.approx(float(theirs.result()), abs=1e-7)


def test_the_configuration_round_trip() -> None:
    for thing in (TokenCrossEntropy(), Perplexity(), TokenAccuracy()):
        again = type(thing).from_config(thing.get_config())
        assert again.name == thing.name
