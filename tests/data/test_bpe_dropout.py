"""BPE-dropout against the law it should follow, and against plain byte pairs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rnnlm.data.bpe_dropout import BPEDropout
from tests.data.segmentations import (
    LETTERS,
    check_law,
    check_spelling,
    dropout_law,
    segmentations,
)

MERGES = [(b"a", b"b"), (b"b", b"c"), (b"ab", b"c"), (b"a", b"a"), (b"abc", b"ab")]
PIECES = [*LETTERS, *dict.fromkeys(left + right for left, right in MERGES)]
PAIRS = [(PIECES.index(left), PIECES.index(right)) for left, right in MERGES]


def drawn(word: bytes, rate: float, number: int = 20) -> set[tuple[bytes, ...]]:
    return set(segmentations(BPEDropout(PIECES, PAIRS, rate), PIECES, word, number))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("word", [b"abcab", b"aaaab", b"abcabca", b"xabcx", b"q"])
def test_shares_are_those_of_all_ways_to_drop_merges(word: bytes, rate: float) -> None:
    sampler = BPEDropout(PIECES, PAIRS, rate)
    found = segmentations(sampler, PIECES, word, 20_000, seed=3)
    check_law(found, dropout_law(word, MERGES, rate))


def test_the_law_is_told_from_another() -> None:
    """The test of goodness would notice a rate that is a little off."""
    found = segmentations(BPEDropout(PIECES, PAIRS, 0.5), PIECES, b"abcab", 20_000)
    with pytest.raises(AssertionError):
        check_law(found, dropout_law(b"abcab", MERGES, 0.53))


def test_nothing_dropped_is_byte_pair_encoding_and_all_dropped_is_bytes() -> None:
    assert drawn(b"abcab", 0.0) == {(b"abcab",)}
    assert drawn(b"aaabc", 0.0) == {(b"aa", b"abc")}
    assert drawn(b"abcab", 1.0) == {(b"a", b"b", b"c", b"a", b"b")}


def test_without_merges_words_are_bytes() -> None:
    assert set(segmentations(BPEDropout(LETTERS, [], 0.1), LETTERS, b"ab", 2)) == {
        (b"a", b"b")
    }


@settings(deadline=None, max_examples=60)
@given(
    words=st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=12),
    rate=st.floats(0, 1),
    seed=st.integers(0, 2**40),
)
def test_every_segmentation_spells_its_word(
    words: list[bytes], rate: float, seed: int
) -> None:
    check_spelling(BPEDropout(PIECES, PAIRS, rate), PIECES, words, seed)
