from collections import Counter
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from keras_rnnlm.errors import InputError
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.scoring import layout, scorer
from keras_rnnlm.scoring.scorer import score_segments
from tests.scoring.texts import shared_network, small_network, step_by_step

V = 23


@pytest.fixture(scope="module")
def network() -> RNNLM:
    return shared_network()


@pytest.fixture(scope="module")
def ids() -> NDArray[np.uint16]:
    return np.random.default_rng(0).integers(0, V, 3000).astype(np.uint16)


def laid_out(lengths: list[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    stops = np.cumsum(np.array(lengths, np.int64)) + 1
    return stops - lengths, stops


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_scores_are_those_of_single_steps(cell: str, ids: NDArray[np.uint16]) -> None:
    network = small_network(V, cell, layers=2)
    starts, stops = laid_out([9, 1, 0, 40, 3])
    scores = score_segments(network, ids, starts, stops)
    assert scores.offsets.tolist() == [0, 9, 10, 10, 50, 53]
    for i in range(len(starts)):
        nats, correct = step_by_step(network, ids, starts[i], stops[i])
        here = slice(scores.offsets[i], scores.offsets[i + 1])
        np.testing.assert_allclose(scores.nats[here], nats, atol=1e-5)
        np.testing.assert_array_equal(scores.correct[here], correct)


def test_the_batch_size_makes_no_difference(
    network: RNNLM, ids: NDArray[np.uint16]
) -> None:
    lengths = np.random.default_rng(2).integers(1, 40, 66).tolist()
    starts, stops = laid_out(lengths)
    alone = score_segments(network, ids, starts, stops, batch_size=1)
    for batch_size in (7, 64):
        scores = score_segments(network, ids, starts, stops, batch_size)
        np.testing.assert_allclose(scores.nats, alone.nats, atol=1e-5)
        np.testing.assert_array_equal(scores.correct, alone.correct)
        assert scores.nats.sum(dtype=np.float64) == pytest.approx(
            alone.nats.sum(dtype=np.float64), rel=1e-6
        )


MANY = np.random.default_rng(5).integers(0, V, 2000)


@settings(max_examples=8, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=7),
    order=st.randoms(use_true_random=False),
    batch_size=st.sampled_from([1, 3]),
)
def test_company_and_padding_make_no_difference(
    lengths: list[int], order: Any, batch_size: int
) -> None:
    network, ids = shared_network(), MANY
    starts, stops = laid_out(lengths)
    together = score_segments(network, ids, starts, stops, batch_size)
    shuffled = list(range(len(lengths)))
    order.shuffle(shuffled)
    other = score_segments(network, ids, starts[shuffled], stops[shuffled], batch_size)
    for place, i in enumerate(shuffled):
        np.testing.assert_allclose(
            other.nats[other.offsets[place] : other.offsets[place + 1]],
            together.nats[together.offsets[i] : together.offsets[i + 1]],
            atol=1e-5,
        )


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Rows and steps of each call of the network."""
    found: list[tuple[int, int]] = []
    advance = scorer._Batch.advance

    def spy(self: Any, ids: Any) -> Any:
        found.append((self._layout.rows, self._layout.steps()))
        return advance(self, ids)

    monkeypatch.setattr(scorer._Batch, "advance", spy)
    return found


def test_a_long_segment_among_short_ones(
    network: RNNLM,
    ids: NDArray[np.uint16],
    shapes: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The batch is narrowed once only two rows go on.
    monkeypatch.setattr(layout, "_LONG", 100)
    starts, stops = laid_out([5, 600, 7, 6, 5, 9, 20, 5])
    alone = score_segments(network, ids, starts[1:2], stops[1:2])
    shapes.clear()
    scores = score_segments(network, ids, starts, stops)
    assert (shapes[0][0], shapes[-1][0]) == (8, 2)
    assert Counter(shapes) == layout.planned_calls(stops - starts, V)
    np.testing.assert_allclose(scores.nats[5:605], alone.nats, atol=1e-5)


def test_work_is_bounded_and_hardly_wasted(
    network: RNNLM,
    ids: NDArray[np.uint16],
    shapes: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lengths = np.random.default_rng(3).integers(10, 35, 120).tolist()
    starts, stops = laid_out(lengths)
    score_segments(network, ids, starts, stops)
    positions = sum(rows * steps for rows, steps in shapes)
    assert positions < 1.4 * sum(lengths)
    assert len(set(shapes)) <= 3
    assert Counter(shapes) == layout.planned_calls(stops - starts, V)
    shapes.clear()
    score_segments(network, ids, np.array([1]), np.array([3000]))
    assert {steps for _, steps in shapes} == {512}
    # Logits of a call stay below the bound, even by fewer rows if need be.
    shapes.clear()
    monkeypatch.setattr(layout, "LOGITS_BYTES", 4 * V * 40)
    score_segments(network, ids, starts, stops)
    assert max(rows * steps for rows, steps in shapes) <= 40


def test_ids_may_lie_on_disk_and_progress_is_told(
    network: RNNLM, ids: NDArray[np.uint16], tmp_path: Any
) -> None:
    stored = np.memmap(tmp_path / "ids", np.uint16, "w+", shape=ids.shape)
    stored[:] = ids
    told: list[tuple[int, int]] = []
    starts, stops = laid_out([50, 60])
    there = score_segments(
        network, stored, starts, stops, progress=lambda *now: told.append(now)
    )
    here = score_segments(network, ids, starts, stops)
    np.testing.assert_array_equal(there.nats, here.nats)
    assert told[-1] == (110, 110)
    assert told == sorted(told)


def test_current_weights_are_used(ids: NDArray[np.uint16]) -> None:
    network = small_network(V)
    starts, stops = laid_out([30])
    before = score_segments(network, ids, starts, stops)
    other = small_network(V, seed=9)
    network.set_weights(other.get_weights())
    after = score_segments(network, ids, starts, stops)
    wanted = score_segments(other, ids, starts, stops)
    assert not np.allclose(before.nats, after.nats)
    np.testing.assert_allclose(after.nats, wanted.nats, atol=1e-6)


def test_a_network_that_was_scored_is_let_go() -> None:
    import gc
    import weakref

    network = small_network(V)
    score_segments(network, MANY, np.array([1]), np.array([9]))
    gone = weakref.ref(network)
    del network
    gc.collect()
    assert gone() is None


def test_no_segment_gives_no_score(network: RNNLM, ids: NDArray[np.uint16]) -> None:
    nothing = np.empty(0, np.int64)
    scores = score_segments(network, ids, nothing, nothing)
    assert (len(scores.nats), scores.offsets.tolist()) == (0, [0])


def test_what_cannot_be_scored_is_refused(ids: NDArray[np.uint16]) -> None:
    network = small_network(V)
    one = np.array([1]), np.array([9])
    with pytest.raises(InputError, match="below 23.*received 99"):
        score_segments(network, np.full(20, 99), *one)
    with pytest.raises(ValueError, match="batch_size of 1 or more"):
        score_segments(network, ids, *one, batch_size=0)
    with pytest.raises(ValueError, match="position 1"):
        score_segments(network, ids, np.array([0]), np.array([9]))
    weight = network.trainable_variables[-1]
    weight.assign(keras.ops.full_like(weight.value, np.nan))
    with pytest.raises(InputError, match="earlier checkpoint"):
        score_segments(network, ids, *one)


def test_probabilities_of_a_step_sum_to_one(network: RNNLM) -> None:
    state = network.initial_state(5)
    for tokens in (np.arange(5), np.arange(5) + 9):
        log_probs, state = network.step(tokens.astype(np.int32), state)
        sums = np.exp(keras.ops.convert_to_numpy(log_probs)).sum(axis=-1)
        np.testing.assert_allclose(sums, 1, atol=1e-5)


def test_of_equally_likely_tokens_the_lowest_id_counts() -> None:
    network = small_network(V)
    for weight in network.trainable_variables:
        weight.assign(keras.ops.zeros_like(weight.value))
    ids = np.array([5, 0, 3, 0, V - 1])
    scores = score_segments(network, ids, np.array([1]), np.array([5]))
    np.testing.assert_allclose(scores.nats, np.log(V), rtol=1e-6)
    assert scores.correct.tolist() == [True, False, True, False]
