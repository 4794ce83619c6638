import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.models.compiled import compiled_once
from keras_rnnlm.scoring.cache import CacheBank, CacheSettings
from keras_rnnlm.scoring.passes import StaticReader, run_pass
from tests.scoring.texts import encoded, shared_network

V, D = 23, 6


def brute_force(
    hidden: NDArray[np.float64], words: NDArray[np.integer], cache: CacheSettings
) -> NDArray[np.float64]:
    """The paper's sums, prediction by prediction."""
    found = []
    for t in range(len(words)):
        first = max(0, t - cache.window)
        if first == t:
            found.append(-np.log(V))
            continue
        weights = np.exp(cache.theta * (hidden[first:t] @ hidden[t]))
        share = weights[words[first:t] == words[t]].sum() / weights.sum()
        found.append(np.log(share) if share else -np.inf)
    return np.array(found)


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(1, 40),
    windows=st.sampled_from([(1, 3), (5, 17), (50, 2)]),
    thetas=st.sampled_from([(0.0, 1.5), (0.4, 8.0)]),
    seed=st.integers(0, 99),
)
def test_the_sums_written_out(
    length: int, windows: tuple[int, int], thetas: tuple[float, float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(length, D)).astype(np.float32)
    words = rng.integers(0, 4, length).astype(np.int32)
    caches = [CacheSettings(w, t) for w, t in zip(windows, thetas, strict=True)]
    block = 16  # so that blocks are cut, and the last one is not full
    bank = CacheBank(shared_network(), caches, block)
    for _ in range(2):  # nothing is left of a stream when the next begins
        bank.begin()
        found = np.concatenate(
            [
                bank.read(hidden[i : i + block], words[i : i + block])
                for i in range(0, length, block)
            ],
            axis=1,
        )
        for cache, row in zip(caches, found, strict=True):
            expected = brute_force(hidden.astype(np.float64), words, cache)
            # What float32 cannot hold counts as nothing.
            row[row < -80] = expected[expected < -80] = -np.inf
            np.testing.assert_allclose(row, expected, atol=2e-4)


def test_the_probabilities_of_all_words_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(9, D)).astype(np.float32)
    words = rng.integers(0, V, 9).astype(np.int32)
    for history in (0, 1, 8):  # an empty cache too
        p = []
        for word in range(V):
            bank = CacheBank(shared_network(), [CacheSettings(5, 0.7)], 16)
            given = np.append(words[:history], word).astype(np.int32)
            p.append(np.exp(bank.read(hidden[: history + 1], given)[0, -1]))
        assert sum(p) == pytest.approx(1, abs=1e-5)


def test_a_pass_feeds_it_with_the_hidden_vectors_of_the_network() -> None:
    network = shared_network()
    rng = np.random.default_rng(3)
    files = [rng.integers(0, V, 700), rng.integers(0, V, 30)]
    text = encoded(files, line_end=0)
    caches = [CacheSettings(40, 2.0), CacheSettings(600, 0.5)]
    found = run_pass(StaticReader(network), network, text, caches).caches
    hidden_of = compiled_once(network, hidden_vectors)
    expected = []
    for start, stop in zip(text.starts, text.stops, strict=True):
        inputs = np.asarray(text.ids[None, start - 1 : stop - 1], np.int32)
        hidden = np.asarray(hidden_of(inputs))[0].astype(np.float64)
        expected.append(
            [brute_force(hidden, text.ids[start:stop], cache) for cache in caches]
        )
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1), atol=1e-3)
    first = run_pass(StaticReader(network), network, text, caches, most=710)
    np.testing.assert_allclose(first.caches, found[:, :710], atol=1e-5)


def hidden_vectors(network: object, inputs: object) -> object:
    return network.hidden(inputs, network.initial_state(1))[0]  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrong", [{"window": 0}, {"theta": -1.0}])
def test_settings_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        CacheSettings(**wrong)  # type: ignore[arg-type]
