import numpy as np
import pytest

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.errors import ConfigError, InputError
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.scoring.dropout import (
    DropoutReader,
    dropout_log_probabilities,
    dropout_seeds,
)
from keras_rnnlm.scoring.passes import StaticReader, run_pass
from tests.scoring.texts import encoded

V = 23


def network(rate: float = 0.4, **options: object) -> RNNLM:
    return RNNLM(V, units=8, layers=1, dropout=rate, seed=1, **options)


@pytest.fixture(scope="module")
def text() -> EncodedText:
    rng = np.random.default_rng(0)
    return encoded([rng.integers(0, V, 600)], line_end=0)


def test_the_mean_of_the_probabilities_of_the_passes(text: EncodedText) -> None:
    model = network(embedding_dropout=0.2, weight_dropout=0.3)
    seeds = [np.asarray(seed.value).tolist() for seed in dropout_seeds(model)]
    found = dropout_log_probabilities(model, text, passes=3, seed=7)
    passes = [
        run_pass(DropoutReader(model, k, seed=7), model, text).nats[0] for k in range(3)
    ]
    np.testing.assert_allclose(
        np.exp(found), np.exp(-np.array(passes)).mean(axis=0), rtol=1e-9
    )
    assert len({float(nats.sum()) for nats in passes}) == 3
    again = dropout_log_probabilities(model, text, passes=3, seed=7)
    np.testing.assert_array_equal(found, again)
    # The network draws its own masks as if nothing had been.
    after = [np.asarray(seed.value).tolist() for seed in dropout_seeds(model)]
    assert after == seeds


def test_the_latent_vectors_of_a_mixture_are_dropped(text: EncodedText) -> None:
    model = network(0.0, output="mixture", mixtures=2, mixture_dropout=0.5)
    passes = [run_pass(DropoutReader(model, k), model, text).nats[0] for k in range(2)]
    static = run_pass(StaticReader(model), model, text).nats[0]
    assert len({float(nats.sum()) for nats in (*passes, static)}) == 3


def test_a_pass_is_one_network_for_the_whole_text(text: EncodedText) -> None:
    # Its masks do not change where a segment ends: the state that runs on from there
    # meets the network that made it. The same token in the same state, in a text of
    # one token over and over, comes to a point that does not move.
    model = network(0.5)
    constant = encoded([np.full(1200, 3)], line_end=3)
    nats = run_pass(DropoutReader(model, 0), model, constant).nats[0]
    np.testing.assert_allclose(nats[400:], nats[400], atol=1e-4)
    static = run_pass(StaticReader(model), model, constant).nats[0]
    assert abs(static[400] - nats[400]) > 1e-4


def test_what_it_needs(text: EncodedText) -> None:
    with pytest.raises(InputError, match="rates are all 0"):
        dropout_log_probabilities(network(0.0), text, 2)
    with pytest.raises(InputError, match="rates are all 0"):
        dropout_seeds(network(0.0, output="sampled"))
    with pytest.raises(ConfigError, match="1 or more passes"):
        dropout_log_probabilities(network(), text, 0)
