"""Windows of varying length: few lengths, every epoch the same, in another order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rnnlm.data.streams import StreamBatches
from keras_rnnlm.data.windows import Windows, window_shares
from tests.data.test_streams import numbered


def test_shares_are_those_of_the_draws_in_the_paper() -> None:
    """Against the draws of AWD-LSTM, sorted into the nearest of our lengths."""
    shares = window_shares(70, 5, room=10_000)
    assert sorted(shares) == [30, 35, 40, 60, 65, 70, 75, 80]
    assert sum(shares.values()) == pytest.approx(1.0)
    rng = np.random.default_rng(0)
    means = np.where(rng.random(200_000) < 0.95, 70, 35)
    drawn = rng.normal(means, 5)
    lengths = np.array(sorted(shares))
    nearest = lengths[np.abs(drawn[:, None] - lengths).argmin(axis=1)]
    for length in lengths:
        assert (nearest == length).mean() == pytest.approx(shares[length], abs=4e-3)


@settings(deadline=None, max_examples=60)
@given(
    steps=st.integers(1, 40),
    deviation=st.integers(0, 12),
    room=st.integers(1, 600),
    epoch=st.integers(0, 3),
)
def test_windows_fill_a_lane_without_gap_or_overlap(
    steps: int, deviation: int, room: int, epoch: int
) -> None:
    windows = Windows(min(steps, room), deviation, room)
    assert windows.count >= 1
    assert 1 <= len(windows.lengths) <= 8
    place = 0
    for index in range(windows.count):
        begin, length = windows.window(epoch, index)
        assert begin == place
        assert length in windows.lengths
        place += length
    assert place == windows.total <= room
    if 4 * deviation <= steps:  # what settings allow
        assert room - windows.total < 2 * (steps + 2 * deviation)


def test_epochs_have_the_same_windows_in_another_order() -> None:
    windows = Windows(70, 5, 20_000)
    orders = [
        [windows.window(epoch, i)[1] for i in range(windows.count)]
        for epoch in (0, 1, 0)
    ]
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])


def test_runs_of_other_seeds_have_windows_of_the_same_lengths() -> None:
    """In every epoch, also where they read other places; begun anywhere."""
    options = {"deviation": 2, "rotate": True, "endless": True}
    runs = [
        StreamBatches(numbered(3000), 4, 9, seed=seed, start=start, **options)
        for seed, start in ((3, 0), (4, 0), (4, 5))
    ]
    read = [0, 0]
    for index in range(5, 3 * runs[0].batches_per_epoch):
        first, second = runs[0][index], runs[1][index]
        late = runs[2][index - 5]
        assert first[1].shape == second[1].shape
        assert runs[0].rate_scale(index) == runs[1].rate_scale(index)
        np.testing.assert_array_equal(late[1], second[1])
        read[int(np.array_equal(first[1], second[1]))] += 1
    assert read[0] > 0.9 * sum(read)


@settings(deadline=None, max_examples=40)
@given(
    tokens=st.integers(2, 900),
    batch_size=st.integers(1, 6),
    steps=st.integers(1, 20),
    deviation=st.integers(0, 5),
    rotate=st.booleans(),
    epoch=st.integers(0, 2),
    start=st.integers(0, 50),
)
def test_a_stream_of_varying_windows_visits_each_target_at_most_once(
    tokens: int,
    batch_size: int,
    steps: int,
    deviation: int,
    rotate: bool,
    epoch: int,
    start: int,
) -> None:
    options = {"deviation": deviation, "rotate": rotate, "seed": 3, "endless": True}
    batches = StreamBatches(numbered(tokens), batch_size, steps, **options)
    late = StreamBatches(numbered(tokens), batch_size, steps, start=start, **options)
    visited: list[int] = []
    rows: list[list[int]] = [[] for _ in range(batches.batch_size)]
    for i in range(batches.batches_per_epoch):
        index = epoch * batches.batches_per_epoch + i
        x, y = batches[index]
        assert x["tokens"].shape == y.shape
        assert y.shape[1] in batches.lengths
        assert batches.rate_scale(index) == y.shape[1] / batches.steps
        np.testing.assert_array_equal(x["tokens"] + 1, y)  # ids are positions
        np.testing.assert_array_equal(x["carry"], float(i > 0))
        if index >= start:
            again, goals = late[index - start]
            np.testing.assert_array_equal(again["tokens"], x["tokens"])
            np.testing.assert_array_equal(goals, y)
        visited.extend(y.ravel().tolist())
        for row, targets in zip(rows, y.tolist(), strict=True):
            row.extend(targets)
    assert len(visited) == len(set(visited))
    assert set(visited) <= set(range(1, tokens))
    for row in rows:
        # Contiguous but for one join, where the lane's end meets its beginning.
        joins = [i for i, (a, b) in enumerate(zip(row, row[1:])) if b != a + 1]  # noqa: B905
        assert len(joins) <= int(rotate)
        if joins:
            assert (row[joins[0]], row[joins[0] + 1]) == (max(row), min(row))


def test_rows_are_reset_at_their_rate_and_always_the_same() -> None:
    options = {"reset": 0.2, "seed": 3, "endless": True}
    batches = StreamBatches(numbered(40_001), 8, 10, **options)
    late = StreamBatches(numbered(40_001), 8, 10, start=7, **options)
    carried = np.stack([batches[i][0]["carry"] for i in range(500)])
    assert set(np.unique(carried)) == {0.0, 1.0}
    assert not carried[0].any()
    assert carried[1:].mean() == pytest.approx(0.8, abs=0.02)
    assert len({tuple(row) for row in carried.tolist()}) > 50
    np.testing.assert_array_equal(late[3][0]["carry"], carried[10])
    plain = StreamBatches(numbered(40_001), 8, 10, seed=3, endless=True)
    np.testing.assert_array_equal(plain[10][1], batches[10][1])
    with pytest.raises(ValueError, match="reset=1.5"):
        StreamBatches(numbered(100), 8, 10, reset=1.5)


def test_lanes_are_cut_elsewhere_in_each_epoch_and_each_lane() -> None:
    batches = StreamBatches(numbered(4001), 4, 10, rotate=True, endless=True)
    firsts = [batches[epoch * batches.batches_per_epoch][1][:, 0] for epoch in range(5)]
    length = batches.batches_per_epoch * 10
    cuts = {int(f - 1 - lane * length) for f in firsts for lane, f in enumerate(f)}
    assert len(cuts) > 15
