"""The batches of training: what is visited, in what order, and what is carried."""

import threading
from collections import Counter
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rnnlm.data.segments import cut_segments, line_segments
from keras_rnnlm.data.streams import SentenceBatches, StreamBatches
from keras_rnnlm.errors import InputError


def numbered(tokens: int) -> Any:
    """A text whose ids are their own positions, so that visits can be read off."""
    return SimpleNamespace(
        ids=np.arange(tokens, dtype=np.uint32),
        starts=np.array([1]),
        stops=np.array([tokens]),
        line_end_id=None,
    )


def lined(lengths: list[int], first: int, files: int = 1) -> Any:
    """A text of `files` equal files with lines of these lengths; 1 ends a line.

    `first` is the number of tokens before the first target: 1 in all texts.
    """
    rng = np.random.default_rng(0)
    parts = [np.ones(first, dtype=np.int64)]
    starts, stops, position = [], [], first
    for _ in range(files):
        starts.append(position)
        for length in lengths:
            parts.append(np.append(rng.integers(2, 9, length - 1), 1))
            position += length
        stops.append(position)
    return SimpleNamespace(
        ids=np.concatenate(parts).astype(np.uint16),
        starts=np.array(starts),
        stops=np.array(stops),
        line_end_id=1,
    )


shapes = {
    "tokens": st.integers(2, 400),
    "batch_size": st.integers(1, 9),
    "steps": st.integers(1, 12),
    "seed": st.integers(0, 2**40),
}


@settings(deadline=None, max_examples=60)
@given(epoch=st.integers(0, 3), **shapes)
def test_stream_visits_each_target_at_most_once_and_goes_on_where_it_says(
    tokens: int, batch_size: int, steps: int, seed: int, epoch: int
) -> None:
    batches = StreamBatches(numbered(tokens), batch_size, steps, seed, endless=True)
    shape = (batches.batch_size, batches.steps)
    visited: list[int] = []
    last = None
    for index in range(batches.batches_per_epoch):
        x, y = batches[epoch * batches.batches_per_epoch + index]
        assert x["tokens"].shape == y.shape == shape
        assert x["tokens"].dtype == y.dtype == np.int32
        assert x["carry"].dtype == np.float32
        np.testing.assert_array_equal(x["tokens"] + 1, y)  # ids are positions
        # Each row goes on from the batch before, and carry says exactly that.
        goes_on = np.zeros(shape[0]) if last is None else x["tokens"][:, 0] == last
        np.testing.assert_array_equal(x["carry"], goes_on.astype(np.float32))
        last = y[:, -1]
        visited.extend(y.ravel().tolist())
    assert len(visited) == len(set(visited))
    assert set(visited) <= set(range(1, tokens))
    left_out = tokens - 1 - len(visited)
    assert left_out < batches.tokens_per_batch + batches.steps


@settings(deadline=None, max_examples=40)
@given(start=st.integers(0, 200), index=st.integers(0, 200), **shapes)
def test_stream_started_late_is_the_stream_seen_from_there(
    tokens: int, batch_size: int, steps: int, seed: int, start: int, index: int
) -> None:
    text = numbered(tokens)
    whole = StreamBatches(text, batch_size, steps, seed, endless=True)
    late = StreamBatches(text, batch_size, steps, seed, start=start, endless=True)
    (x, y), (x_late, y_late) = whole[start + index], late[index]
    np.testing.assert_array_equal(y, y_late)
    np.testing.assert_array_equal(x["tokens"], x_late["tokens"])
    np.testing.assert_array_equal(x["carry"], x_late["carry"])


def test_stream_epochs_leave_out_different_tokens() -> None:
    batches = StreamBatches(numbered(1 + 20 * 7 * 10 + 100), 20, 7, endless=True)
    offsets = [batches.offset(epoch) for epoch in range(20)]
    assert offsets[0] == 0
    assert len(set(offsets)) > 10
    assert offsets == [batches.offset(epoch) for epoch in range(20)]
    other = StreamBatches(numbered(1 + 20 * 7 * 10 + 100), 20, 7, seed=1)
    assert offsets != [other.offset(epoch) for epoch in range(20)]


def test_stream_that_fits_exactly_still_shifts_its_cuts() -> None:
    batches = StreamBatches(numbered(1 + 2 * 5 * 1000), 2, 5, endless=True)
    assert batches.batches_per_epoch == 999
    assert len({batches.offset(epoch) for epoch in range(50)}) > 5


def test_position_is_two_integers() -> None:
    batches = StreamBatches(numbered(101), 2, 5, start=7, endless=True)
    assert batches.batches_per_epoch == 10
    assert batches.tokens_per_batch == 10
    assert batches.position(0) == (0, 0)
    assert batches.position(27) == (2, 7)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [(701, (20, 35)), (700, (19, 35)), (36, (1, 35)), (35, (1, 34)), (2, (1, 1))],
)
def test_short_texts_shrink_lanes_first_then_steps(
    tokens: int, expected: tuple[int, int]
) -> None:
    batches = StreamBatches(numbered(tokens), 20, 35)
    assert (batches.batch_size, batches.steps) == expected
    assert bool(batches.note) == (expected != (20, 35))
    if batches.note:
        assert f"{expected[0]} lanes of {expected[1]} steps" in batches.note
        assert "20 of 35" in batches.note


@pytest.mark.parametrize("tokens", [0, 1])
def test_a_text_without_a_prediction_is_refused(tokens: int) -> None:
    with pytest.raises(InputError, match="at least two tokens"):
        StreamBatches(numbered(tokens), 20, 35)
    text = lined([], first=tokens)
    with pytest.raises(InputError, match="at least two tokens"):
        SentenceBatches(text, 20)


def test_impossible_numbers_are_refused() -> None:
    text = numbered(50)
    for wrong in ({"batch_size": 0}, {"steps": 0}, {"seed": -1}, {"start": -1}):
        with pytest.raises(ValueError, match="Expected"):
            StreamBatches(text, **{"batch_size": 2, "steps": 2, **wrong})
    with pytest.raises(ValueError, match="max_steps"):
        SentenceBatches(text, 2, max_steps=0)
    with pytest.raises(IndexError):
        StreamBatches(text, 2, 2)[-1]


def test_threads_get_the_same_batches() -> None:
    text = lined([3, 9, 4, 30, 2, 7] * 40, first=1)
    for batches in (
        StreamBatches(text, 4, 5, endless=True),
        SentenceBatches(text, 4, endless=True),
    ):
        indices = list(range(2 * batches.batches_per_epoch))
        expected = {i: keras.tree.flatten(batches[i]) for i in indices}
        got: dict[int, Any] = {}

        def fetch(part: list[int], source: Any = batches, into: Any = got) -> None:
            for i in part:
                into[i] = keras.tree.flatten(source[i])

        order = np.random.default_rng(1).permutation(indices).tolist()
        threads = [
            threading.Thread(target=fetch, args=(order[k::4],)) for k in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for i in indices:
            for a, b in zip(expected[i], got[i], strict=True):
                np.testing.assert_array_equal(a, b)


line_lengths = st.lists(st.integers(1, 40), min_size=1, max_size=60)


@settings(deadline=None, max_examples=60)
@given(
    lengths=line_lengths,
    files=st.integers(1, 3),
    batch_size=st.integers(1, 9),
    seed=st.integers(0, 2**40),
    max_steps=st.one_of(st.none(), st.integers(1, 50)),
    epoch=st.integers(0, 2),
)
def test_sentences_visit_every_target_exactly_once(
    lengths: list[int],
    files: int,
    batch_size: int,
    seed: int,
    max_steps: int | None,
    epoch: int,
) -> None:
    text = lined(lengths, first=1, files=files)
    targets = int(text.stops[-1] - 1)
    text.ids = np.arange(targets + 1, dtype=np.uint32)  # positions, as above
    text.line_end_id = None
    ends = lined(lengths, first=1, files=files)
    lines = line_segments(ends.ids, ends.starts, ends.stops, 1)
    text.starts, text.stops = lines  # each line a file of its own
    batches = SentenceBatches(text, batch_size, seed, max_steps=max_steps, endless=True)
    visited: list[int] = []
    seen_lengths = set()
    line_starts = set(lines[0].tolist())
    for index in range(batches.batches_per_epoch):
        x, y, weights = batches[epoch * batches.batches_per_epoch + index]
        assert x.shape == y.shape == weights.shape
        assert x.shape[0] == batches.batch_size
        assert weights.dtype == np.float32
        seen_lengths.add(x.shape[1])
        real = weights == 1
        np.testing.assert_array_equal(real, weights != 0)
        np.testing.assert_array_equal((x + 1)[real], y[real])
        assert not x[~real].any()
        assert not y[~real].any()
        # Padding stands at the end of a row.
        np.testing.assert_array_equal(real, np.sort(real, axis=1)[:, ::-1])
        visited.extend(y[real].tolist())
        for row, mask in zip(y, real, strict=True):
            real_row = row[mask]
            np.testing.assert_array_equal(np.diff(real_row), 1)
            if max_steps is None and len(real_row):
                assert real_row[0] in line_starts
    assert Counter(visited) == Counter(range(1, targets + 1))
    assert seen_lengths == set(batches.lengths.tolist())
    assert len(batches.lengths) <= 8
    assert batches.lengths[-1] <= (max_steps or 256)


@settings(deadline=None, max_examples=30)
@given(lengths=line_lengths, start=st.integers(0, 90), index=st.integers(0, 90))
def test_sentences_started_late_are_the_same(
    lengths: list[int], start: int, index: int
) -> None:
    text = lined(lengths, first=1)
    whole = SentenceBatches(text, 4, seed=3, endless=True)
    late = SentenceBatches(text, 4, seed=3, start=start, endless=True)
    for a, b in zip(whole[start + index], late[index], strict=True):
        np.testing.assert_array_equal(a, b)


def test_sentences_come_in_another_order_each_epoch_and_for_each_seed() -> None:
    text = lined([5] * 64, first=1)
    text.ids = np.arange(len(text.ids), dtype=np.uint16)
    text.line_end_id = None
    text.starts = np.arange(1, len(text.ids), 5)
    text.stops = text.starts + 5
    batches = SentenceBatches(text, 8, endless=True)

    def epoch(of: SentenceBatches, number: int) -> list[int]:
        first = number * of.batches_per_epoch
        rows = [of[first + i][0] for i in range(of.batches_per_epoch)]
        return np.concatenate(rows)[:, 0].tolist()

    assert sorted(epoch(batches, 0)) == sorted(epoch(batches, 1))
    assert epoch(batches, 0) != epoch(batches, 1)
    assert epoch(batches, 0) == epoch(batches, 0)
    assert epoch(batches, 0) != epoch(SentenceBatches(text, 8, seed=1), 0)


def test_buckets_waste_little() -> None:
    lengths = np.clip(np.random.default_rng(0).poisson(21, 4000), 1, 80).tolist()
    batches = SentenceBatches(lined(lengths, first=1), 32)
    cells = sum(batches[i][0].size for i in range(len(batches)))
    assert sum(lengths) / cells > 0.85
    assert abs(batches.tokens_per_batch - sum(lengths) / len(batches)) <= 1


def test_two_lines_shrink_to_one_batch() -> None:
    batches = SentenceBatches(lined([6, 7], first=1), 32)
    assert (batches.batch_size, len(batches)) == (2, 1)
    assert "2 lines" in batches.note
    assert not batches.ordered


def test_lines_hold_their_ends_and_begin_from_the_token_before() -> None:
    #        \n a  b  \n \n c  | d  \n e      (1 is the line end; two files)
    ids = np.array([1, 5, 6, 1, 1, 7, 8, 1, 9], dtype=np.uint16)
    starts, stops = line_segments(ids, np.array([1, 6]), np.array([6, 9]), 1)
    assert list(zip(starts.tolist(), stops.tolist(), strict=True)) == [
        (1, 4),
        (4, 5),
        (5, 6),
        (6, 8),
        (8, 9),
    ]


def test_a_line_end_only_vocabulary_and_empty_files() -> None:
    ids = np.array([1, 1, 1], dtype=np.uint16)
    starts, stops = line_segments(ids, np.array([1, 3]), np.array([3, 3]), 1)
    assert (starts.tolist(), stops.tolist()) == ([1, 2], [2, 3])
    starts, stops = line_segments(ids, np.array([3]), np.array([3]), 1)
    assert len(starts) == len(stops) == 0


def test_long_segments_are_cut_into_near_equal_pieces() -> None:
    starts, stops = cut_segments(np.array([1, 11]), np.array([11, 14]), 4)
    assert starts.tolist() == [1, 4, 7, 11]
    assert stops.tolist() == [4, 7, 11, 14]


class Spy(keras.Model):
    """Counts nothing, predicts little: a model for `fit` that takes dict inputs."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.table = keras.layers.Embedding(vocabulary, vocabulary)

    def call(self, inputs: Any) -> Any:
        tokens = inputs["tokens"] if isinstance(inputs, dict) else inputs
        return self.table(tokens)


class Recording(StreamBatches):
    asked: list[int]

    def __getitem__(self, index: int) -> Any:
        self.asked.append(index)
        return super().__getitem__(index)


def compiled() -> Any:
    model = Spy(9)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def test_fit_runs_an_endless_stream_on_through_its_epochs() -> None:
    text = lined([5] * 20, first=1)
    batches = Recording(text, 2, 5, seed=0, endless=True)
    assert (batches.batches_per_epoch, batches.num_batches) == (10, None)
    with pytest.raises(TypeError, match="steps_per_epoch"):
        len(batches)
    model = compiled()
    batches.asked = []
    history = model.fit(batches, steps_per_epoch=7, epochs=4, shuffle=False, verbose=0)
    assert len(history.epoch) == 4
    assert model.optimizer.iterations == 28
    # In order, each Keras epoch going on where the one before stopped, past the end
    # of the text's own epoch at 10. (An unbuilt model is shown batch 0 beforehand,
    # and a backend may fetch ahead.)
    asked = batches.asked
    first = len(asked) - 1 - asked[::-1].index(0)
    assert asked[first : first + 28] == list(range(28))


def test_fit_goes_through_a_finite_stream_again_each_epoch() -> None:
    text = lined([5] * 20, first=1)
    batches = Recording(text, 2, 5, seed=0)
    batches.asked = []
    assert len(batches) == batches.num_batches == 10
    assert len(list(batches)) == 10
    model = compiled()
    model.fit(batches, epochs=2, shuffle=False, verbose=0)
    assert model.optimizer.iterations == 20
    assert batches.asked[-10:] == list(range(10))


def test_fit_takes_sentences_with_their_weights() -> None:
    batches = SentenceBatches(lined([3, 9, 4, 30, 2, 7] * 4, first=1), 4)
    model = compiled()
    model.fit(batches, epochs=1, verbose=0)
    assert model.optimizer.iterations == len(batches)
