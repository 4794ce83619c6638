"""A network with a cache against the paper's sums, and against itself in pieces."""

from collections.abc import Callable
from functools import cache
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.models.cache_network import CacheNetwork
from keras_rnnlm.models.compiled import compiled
from keras_rnnlm.scoring.scorer import score_segments
from tests.scoring.texts import compiled_step, shared_network, small_network

V, WINDOW, THETA, WEIGHT = 23, 7, 0.8, 0.3


def joined() -> CacheNetwork:
    return CacheNetwork(shared_network(), WINDOW, THETA, WEIGHT)


def ids_of(length: int, seed: int = 0) -> NDArray[np.int32]:
    return np.random.default_rng(seed).integers(0, 5, length).astype(np.int32)


@cache
def own_pass() -> Callable[..., Any]:
    """Hidden vectors and log-probabilities of the shared network, compiled."""
    network = shared_network()

    def run(ids: Any) -> tuple[Any, Any]:
        hidden, _ = network.hidden(ids, network.initial_state(1))
        return hidden, network.log_probabilities(hidden)

    return compiled(network, run)


def expected_of(ids: NDArray[np.int32]) -> NDArray[np.float64]:
    """Log-probabilities after each token, one sum at a time in float64."""
    hidden, own = own_pass()(ids[None])
    own = keras.ops.convert_to_numpy(own)[0]
    h = keras.ops.convert_to_numpy(hidden)[0].astype(np.float64)
    rows = []
    for t in range(len(ids)):
        # h_i was followed by ids[i + 1], up to the token that was just read.
        first = max(0, t - WINDOW)
        p = np.exp(own[t].astype(np.float64))
        if t > first:
            terms = np.exp(THETA * (h[first:t] @ h[t]))
            cache = np.zeros(V)
            np.add.at(cache, ids[first + 1 : t + 1], terms / terms.sum())
            p = (1 - WEIGHT) * p + WEIGHT * cache
        rows.append(np.log(p))
    return np.array(rows)


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_the_sums_written_out_however_it_is_cut(cut: int) -> None:
    network, ids = joined(), ids_of(20)
    step = compiled_step(network)
    state, found = network.initial_state(1), []
    for begin in range(0, len(ids), cut):
        rows, state = step(ids[None, begin : begin + cut], state)
        found.append(keras.ops.convert_to_numpy(rows)[0])
    np.testing.assert_allclose(np.concatenate(found), expected_of(ids), atol=2e-5)


def test_probabilities_sum_to_one_and_rows_do_not_meet() -> None:
    network = joined()
    both = np.stack([ids_of(12, 1), ids_of(12, 2)])
    rows, _ = compiled_step(network)(both, network.initial_state(2))
    rows = keras.ops.convert_to_numpy(rows)
    np.testing.assert_allclose(np.exp(rows).sum(axis=-1), 1, atol=1e-5)
    for row, ids in zip(rows, both, strict=True):
        np.testing.assert_allclose(row, expected_of(ids), atol=2e-5)


def test_scoring_begins_each_segment_after_the_example() -> None:
    example, text = ids_of(70, 3), ids_of(31, 4)
    network = joined().after(example)
    starts, stops = np.array([1, 16]), np.array([16, 31])
    scored = score_segments(network, text, starts, stops)
    for begin, part in ((0, slice(0, 15)), (15, slice(15, 30))):
        whole = np.concatenate([example, text[begin : begin + 15]])
        rows = expected_of(whole)[len(example) :]
        targets = text[begin + 1 : begin + 16]
        nats = -rows[np.arange(15), targets]
        np.testing.assert_allclose(scored.nats[part], nats, atol=3e-5)
        np.testing.assert_array_equal(
            scored.correct[part], rows.argmax(axis=-1) == targets
        )


def test_a_word_too_unlikely_for_a_float_has_a_logarithm() -> None:
    network, ids = small_network(V), ids_of(6)
    bias = network.output_layer.bias
    values = np.array(keras.ops.convert_to_numpy(bias.value))
    values[-1] -= 300
    bias.assign(values)
    own, _ = network.step(ids[None], network.initial_state(1))
    cached = CacheNetwork(network, WINDOW, THETA, WEIGHT)
    rows, _ = cached.step(ids[None], cached.initial_state(1))
    rare = keras.ops.convert_to_numpy(own)[0, :, -1].astype(np.float64)
    assert (rare < -200).all()
    rare[1:] += np.log(1 - WEIGHT)  # at first the cache is empty
    found = keras.ops.convert_to_numpy(rows)[0, :, -1]
    np.testing.assert_allclose(found, rare, rtol=1e-5)


@pytest.mark.parametrize(
    "values", [(0, 1.0, 0.1), (5, -1.0, 0.1), (5, 1.0, 0.0), (5, 1.0, 1.0)]
)
def test_values_out_of_range(values: tuple[int, float, float]) -> None:
    with pytest.raises(ConfigError, match="Expected a cache"):
        CacheNetwork(shared_network(), *values)
