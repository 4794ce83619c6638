"""Which batch lengths lines are padded to."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rnnlm.data.buckets import bucket_lengths


def padded(lengths: list[int], chosen: tuple[int, ...], batch_size: int) -> float:
    """Positions computed with these buckets, half a batch unfilled in each."""
    bounds = np.array(chosen)
    return float(
        bounds[np.searchsorted(bounds, lengths)].sum() + bounds.sum() * batch_size / 2
    )


@settings(deadline=None, max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 14), min_size=1, max_size=30),
    batch_size=st.integers(1, 8),
)
def test_the_choice_is_the_best_of_all(lengths: list[int], batch_size: int) -> None:
    top = max(lengths)
    chosen = bucket_lengths(np.array(lengths, np.int32), batch_size, longest=14)
    grid = min(4, top)
    options = sorted({min(-(-n // grid) * grid, 14) for n in lengths})
    best = min(
        padded(lengths, (*some, options[-1]), batch_size)
        for count in range(min(8, len(options)))
        for some in itertools.combinations(options[:-1], count)
    )
    assert padded(lengths, tuple(chosen.tolist()), batch_size) == best


def test_the_longest_line_has_a_bucket_and_there_are_at_most_eight() -> None:
    lengths = np.arange(1, 5000, dtype=np.int32)
    chosen = bucket_lengths(lengths, 4, longest=5000)
    assert 1 < len(chosen) <= 8
    assert chosen[-1] >= 4999
    assert (np.diff(chosen) > 0).all()
