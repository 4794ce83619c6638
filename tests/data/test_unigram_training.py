"""Unigram pieces: the best segmentation, the most useful pieces, always the same."""

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_rnnlm.data import unigram_training
from keras_rnnlm.data.unigram_training import UnigramPieces, train_unigram

WORDS = {
    " the": 50,
    " then": 20,
    " cat": 30,
    " cats": 9,
    "the": 5,
    "水调歌头": 8,
    "水": 9,
}


@given(word=st.text(alphabet="the cas水调x", min_size=1, max_size=8))
def test_the_segmentation_is_the_best_of_all(word: str) -> None:
    pieces = UnigramPieces(WORDS, 30)
    pieces.improve()

    def score(part: str) -> float:
        if part in pieces.scores:
            return pieces.scores[part]
        if len(part) > 1:
            return -math.inf
        return sum(pieces.byte_scores[byte] for byte in part.encode())

    totals = []
    for size in range(len(word)):
        for cuts in combinations(range(1, len(word)), size):
            ends = [0, *cuts, len(word)]
            totals.append(
                sum(score(word[a:b]) for a, b in zip(ends, ends[1:], strict=False))
            )
    found, total = pieces._segment(word)
    assert "".join(found) == word
    assert total == pytest.approx(max(totals))
    assert sum(map(score, found)) == pytest.approx(total)


def test_probabilities_sum_to_one() -> None:
    for size in (257, 260, 300):
        pieces = train_unigram(WORDS, size)
        assert sum(math.exp(score) for _, score in pieces) == pytest.approx(1, abs=0.05)


def test_useful_pieces_are_kept_and_every_byte_is_there() -> None:
    pieces = dict(train_unigram(WORDS, 260))
    assert len(pieces) == 260
    assert {b" the", b" cat"} <= set(pieces)
    assert all(bytes([byte]) in pieces for byte in range(256))


def test_the_order_of_the_words_does_not_matter() -> None:
    turned = dict(reversed(WORDS.items()))
    assert train_unigram(WORDS, 262) == train_unigram(turned, 262)


@given(st.dictionaries(st.text(min_size=1, max_size=6), st.integers(1, 9), max_size=9))
def test_any_words_will_do(words: dict[str, int]) -> None:
    pieces = train_unigram(words, 300)
    assert 256 <= len(pieces) <= 300
    assert all(math.isfinite(score) for _, score in pieces)


def test_of_one_long_word_a_part_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unigram_training, "LETTERS_USED", 40)
    found = [p for p, _ in train_unigram({"ab" * 20 + "xyz" * 1000: 1}, 300)]
    assert any(len(piece) > 1 for piece in found)
    assert not any(b"x" in piece for piece in found if len(piece) > 1)
