"""The learning-rate range test."""

import numpy as np
import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.training.range_test import RangeTest, range_test

TEXT = ["the cat sat on the mat and the dog sat on the log"] * 60


@pytest.fixture(scope="module")
def corpus():
    return Corpus.from_texts(TEXT, tokenizer="char")


def settings(**changes):
    small = {
        "units": 16,
        "layers": 1,
        "batch_size": 4,
        "steps": 8,
        "optimizer": "sgd",
        "clip_norm": 0.0,
        "learning_rate": 1.0,
    }
    return Settings.from_dict({**small, **changes})


def test_rates_rise_by_one_factor_until_the_loss_climbs(corpus):
    found = range_test(corpus, settings(), low=1e-3, high=1e4, steps=80)
    assert found.diverged
    assert len(found.rates) == len(found.losses) < 80
    ratios = found.rates[1:] / found.rates[:-1]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-6)
    assert found.rates[0] == pytest.approx(1e-3)
    # It begins at chance, learns, and the rate it names is one at which it learned.
    chance = np.log(corpus.vocabulary_size)
    assert found.losses[0] == pytest.approx(chance, rel=0.05)
    assert found.smoothed.min() < chance - 0.2
    assert found.rates[0] < found.lowest < found.rates[-1]


def test_losses_are_those_of_single_steps(corpus):
    """The rate is so low that each step's loss is that of the untrained network."""
    found = range_test(corpus, settings(), low=1e-9, high=1e-8, steps=20)
    assert not found.diverged
    assert len(found.losses) == 20
    np.testing.assert_allclose(found.losses, found.losses[0], atol=0.05)
    assert found.losses.std() > 0  # batches differ


def test_the_mean_of_neighbours():
    losses = np.arange(20.0) ** 2
    found = RangeTest(np.geomspace(1, 10, 20), losses, False)
    expected = [losses[max(i - 4, 0) : i + 5].mean() for i in range(20)]
    np.testing.assert_allclose(found.smoothed, expected)


def test_averages_and_schedule_do_not_count(corpus):
    plain = range_test(corpus, settings(), low=0.1, high=1.0, steps=10)
    other = range_test(
        corpus,
        settings(averaging="swa", schedule="cosine", warmup=0.5),
        low=0.1,
        high=1.0,
        steps=10,
    )
    np.testing.assert_allclose(plain.losses, other.losses, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"low": 1.0, "high": 1.0}, "received 1 and 1"),
        ({"low": 0.0, "high": 1.0}, "received 0 and 1"),
        ({"low": 1.0, "high": float("inf")}, "received 1 and inf"),
        ({"steps": 9}, "steps"),
    ],
)
def test_impossible_ranges_are_refused(corpus, arguments, words):
    with pytest.raises(ConfigError, match=words):
        range_test(corpus, settings(), **arguments)
