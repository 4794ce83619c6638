from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from keras_rnnlm.errors import InputError
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.scoring import nbest_scorer
from keras_rnnlm.scoring.nbest_scorer import score_lists
from keras_rnnlm.scoring.scorer import score_segments
from tests.scoring.texts import shared_network, small_network, step_by_step

V = 23
Sequences = list[NDArray[np.int32]]


def alone(network: RNNLM, ids: NDArray[np.int32]) -> NDArray[np.float32]:
    """The nats of a sequence by the scorer of segments, by itself."""
    starts, stops = np.array([1]), np.array([max(len(ids), 1)])
    return score_segments(network, ids, starts, stops).nats


def arrays(lists: Sequence[Sequence[Sequence[int]]]) -> list[Sequences]:
    return [[np.array(ids, np.int32) for ids in one] for one in lists]


def noisy_lists(count: int, hypotheses: int, seed: int = 0) -> list[Sequences]:
    """Lists whose hypotheses differ from one another in a few tokens."""
    random = np.random.default_rng(seed)
    lists = []
    for _ in range(count):
        truth = random.integers(0, V, random.integers(2, 30))
        one = []
        for _ in range(hypotheses):
            ids = truth.astype(np.int32)
            for _ in range(random.integers(0, 3)):
                at = int(random.integers(0, len(ids)))
                kind = random.integers(3)
                if kind == 0:
                    ids[at] = random.integers(V)
                elif kind == 1:
                    ids = np.insert(ids, at, random.integers(V)).astype(np.int32)
                else:
                    ids = np.delete(ids, at)
                if len(ids) == 0:
                    break
            one.append(ids)
        lists.append(one)
    return lists


@pytest.mark.parametrize("cell", ["lstm", "gru", "simple_rnn"])
def test_scores_are_those_of_single_steps(cell: str) -> None:
    network = small_network(V, cell, layers=2)
    (one,) = noisy_lists(1, 6, seed=3)
    (scores,) = score_lists(network, [one])
    for ids, nats in zip(one, scores, strict=True):
        wanted, _ = step_by_step(network, ids, 1, len(ids))
        np.testing.assert_allclose(nats, wanted, atol=1e-5)
        assert nats.dtype == np.float32


@settings(max_examples=25, deadline=None)
@given(
    lists=st.lists(
        st.lists(st.lists(st.integers(0, 4), max_size=9), max_size=7), max_size=4
    )
)
def test_each_sequence_is_scored_as_if_alone(lists: list[list[list[int]]]) -> None:
    network = shared_network(V)
    given_ = arrays(lists)
    found = list(score_lists(network, given_))
    assert [len(one) for one in found] == [len(one) for one in lists]
    for one, scores in zip(given_, found, strict=True):
        for ids, nats in zip(one, scores, strict=True):
            assert nats.shape == (max(len(ids) - 1, 0),)
            np.testing.assert_allclose(nats, alone(network, ids), atol=1e-5)


def test_calls_of_all_sizes_and_groups_of_any_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = shared_network(V)
    lists = noisy_lists(30, 20)
    whole = list(score_lists(network, lists))
    for one, scores in list(zip(lists, whole, strict=True))[::7]:
        for ids, nats in zip(one, scores, strict=True):
            np.testing.assert_allclose(nats, alone(network, ids), atol=1e-5)
    # Rows whose followers are divided between calls, pools that hold one list, a list
    # that needs a larger pool than is usual.
    monkeypatch.setattr(nbest_scorer, "ROWS", (2, 4))
    monkeypatch.setattr(nbest_scorer, "POOL_BYTES", 1)
    monkeypatch.setattr(nbest_scorer, "_SMALL_POOL", 5)
    in_pieces = list(score_lists(network, lists))
    for one, other in zip(whole, in_pieces, strict=True):
        for nats, again in zip(one, other, strict=True):
            np.testing.assert_allclose(again, nats, atol=1e-5)


def test_pools_of_large_states_hold_few(monkeypatch: pytest.MonkeyPatch) -> None:
    # As those of a Transformer are, whose state is its memory of the context.
    network, lists = shared_network(V), noisy_lists(3, 6)
    state_bytes = 4 * 2 * 8  # an LSTM of 8 units
    monkeypatch.setattr(nbest_scorer, "POOL_BYTES", 2 * 40 * state_bytes)
    sizes = []
    pool_size = nbest_scorer._GroupScorer._pool_size

    def spy(self: Any, most: int) -> int:
        sizes.append(pool_size(self, most))
        return sizes[-1]

    monkeypatch.setattr(nbest_scorer._GroupScorer, "_pool_size", spy)
    for one, scores in zip(lists, score_lists(network, lists), strict=True):
        for ids, nats in zip(one, scores, strict=True):
            np.testing.assert_allclose(nats, alone(network, ids), atol=1e-5)
    assert sizes == [40 + nbest_scorer.ROWS[0]]


def test_common_prefixes_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stepped = 0
    level = nbest_scorer._GroupScorer._level

    def spy(self: Any, first: bool, parents: Any, *others: Any) -> Any:
        nonlocal stepped
        stepped += len(parents)
        return level(self, first, parents, *others)

    monkeypatch.setattr(nbest_scorer._GroupScorer, "_level", spy)
    lists = noisy_lists(5, 40)
    list(score_lists(shared_network(V), lists))
    prefixes = {
        tuple(ids[:end].tolist())
        for one in lists
        for ids in one
        for end in range(1, len(ids))
    }
    assert stepped == len(prefixes)


def test_lists_are_taken_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nbest_scorer, "POOL_BYTES", 1)
    monkeypatch.setattr(nbest_scorer, "_SMALL_POOL", 4)
    taken = 0

    def endless() -> Iterator[Sequences]:
        nonlocal taken
        while True:
            taken += 1
            yield [np.array([0, 1, 2], np.int32)] * 3

    first = next(score_lists(shared_network(V), endless()))
    assert (len(first), taken) == (3, 2)


def test_what_cannot_be_scored_is_refused() -> None:
    network = small_network(V)
    for wrong in (V, -1):
        with pytest.raises(InputError, match=f"below {V}.*received {wrong}"):
            list(score_lists(network, arrays([[[0, 1], [0, wrong]]])))
    weight = network.trainable_variables[-1]
    weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(InputError, match="earlier checkpoint"):
        list(score_lists(network, arrays([[[0, 1, 2]]])))
