"""What is kept has to gain on text that it was not chosen on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_rnnlm.scoring.held_out import HELD_OUT, cut_of, holds


@given(st.integers(1, 100_000))
def test_a_third_is_held_out(predictions: int) -> None:
    held = predictions - cut_of(predictions)
    assert 0 <= held <= HELD_OUT * predictions < held + 1


def test_gains_have_to_stand_out_of_their_noise() -> None:
    noise = np.random.default_rng(0).normal(0.0, 1.0, 10_000)
    noise -= noise.mean()
    assert holds(noise + 0.1) and not holds(noise + 0.001)
    assert not holds(-noise - 0.1)
    assert holds(np.full(40, 0.01)) and not holds(np.full(40, 1e-5))


def test_neighbours_are_no_evidence_of_their_own() -> None:
    """A gain of one stretch of text does not hold, whatever its tokens say together."""
    gains = np.repeat([0.9] + [-0.03] * 19, 500)
    error_of_tokens = gains.std(ddof=1) / np.sqrt(len(gains))
    assert gains.mean() > 5 * error_of_tokens
    assert not holds(gains)


@pytest.mark.parametrize("gains", [[], [1.0]])
def test_one_token_says_nothing(gains: list[float]) -> None:
    assert not holds(np.array(gains))
