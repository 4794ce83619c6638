"""Sampling from the lattice against all segmentations of short words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rnnlm.data.unigram_sampling import UnigramSampling
from tests.data.segmentations import (
    LETTERS,
    check_law,
    check_spelling,
    segmentations,
    spelled,
    unigram_law,
)

LONGER = [b"ab", b"bc", b"abc", b"aa", b"abcab", b"ca", "é".encode()]
PIECES = [*LETTERS, *LONGER]
RANDOM = np.random.default_rng(7)
SCORES = np.concatenate([RANDOM.uniform(-9, -4, 256), RANDOM.uniform(-8, -3, 7)])
KNOWN = dict(zip(PIECES, SCORES.tolist(), strict=True))


@pytest.mark.parametrize("alpha", [0.0, 0.2, 1.0, 2.5])
@pytest.mark.parametrize("word", [b"abcab", b"aaaab", b"abcabca", "é".encode(), b"q"])
def test_shares_are_those_of_all_segmentations(word: bytes, alpha: float) -> None:
    sampler = UnigramSampling(PIECES, SCORES.tolist(), alpha)
    found = segmentations(sampler, PIECES, word, 20_000, seed=3)
    check_law(found, unigram_law(word, KNOWN, alpha))


def test_the_law_is_told_from_another() -> None:
    """The test of goodness would notice an alpha that is a little off."""
    sampler = UnigramSampling(PIECES, SCORES.tolist(), 0.5)
    found = segmentations(sampler, PIECES, b"abcabca", 20_000)
    with pytest.raises(AssertionError):
        check_law(found, unigram_law(b"abcabca", KNOWN, 0.55))


def test_a_large_alpha_takes_the_best_one() -> None:
    law = unigram_law(b"abcabca", KNOWN, 1.0)
    sampler = UnigramSampling(PIECES, SCORES.tolist(), 1000.0)
    found = segmentations(sampler, PIECES, b"abcabca", 50)
    assert set(found) == {max(law, key=lambda pieces: law[pieces])}


def test_long_words_do_not_underflow() -> None:
    sampler = UnigramSampling(PIECES, SCORES.tolist(), 5.0)
    word = b"abcx" * 200
    rows = sampler.draw(spelled([word]), np.array([2]), np.random.default_rng(0))
    assert all(b"".join(PIECES[i] for i in rows.row(r)) == word for r in range(2))


@settings(deadline=None, max_examples=60)
@given(
    words=st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=12),
    alpha=st.floats(0, 1000),
    seed=st.integers(0, 2**40),
)
def test_every_segmentation_spells_its_word(
    words: list[bytes], alpha: float, seed: int
) -> None:
    check_spelling(UnigramSampling(PIECES, SCORES.tolist(), alpha), PIECES, words, seed)
