"""Passes over a text: the same text in other pieces, the same for seed and epoch."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rnnlm.data import text_words
from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.data.piece_tokenizer import PieceTokenizer
from keras_rnnlm.data.piece_training import train_pieces
from keras_rnnlm.data.resegmentation import (
    Resegmentation,
    SegmentedText,
    bpe_dropout,
    unigram_sampling,
)
from keras_rnnlm.data.store import encode_texts
from keras_rnnlm.data.text_file import TextFile
from keras_rnnlm.data.text_words import LONGEST_WORD, TextWords, find_words
from tests.conftest import TEXTS

KINDS = ("bpe", "unigram")
AMOUNTS = {"bpe": (0.0, 0.1, 0.7, 1.0), "unigram": (0.0, 0.3, 1000.0)}


@cache
def tokenizer(kind: str, name: str = "english") -> PieceTokenizer:
    return train_pieces([TextFile(TEXTS / f"{name}.txt")], kind, 600)


def passes(
    text: EncodedText, made: PieceTokenizer, amount: float, seed: int = 0
) -> Resegmentation:
    sampler: Any = bpe_dropout if made.kind == "bpe" else unigram_sampling
    return Resegmentation(find_words(text, made), sampler(made, amount), seed)


def spelling(made: PieceTokenizer, ids: np.ndarray) -> bytes:
    return b"".join(made.pieces[i] for i in ids.tolist())


def file_spellings(made: PieceTokenizer, text: Any) -> list[bytes]:
    bounds = zip(text.starts, text.stops, strict=True)
    return [spelling(made, text.ids[start:stop]) for start, stop in bounds]


def same(one: SegmentedText, two: SegmentedText) -> bool:
    return np.array_equal(one.ids, two.ids)


@settings(deadline=None, max_examples=80)
@given(
    texts=st.lists(
        st.text(st.sampled_from("the cat's 12\n.,'\t é猫。 "), max_size=60),
        min_size=1,
        max_size=4,
    ),
    kind=st.sampled_from(KINDS),
    data=st.data(),
)
def test_a_pass_is_the_same_text(texts: list[str], kind: str, data: Any) -> None:
    made = tokenizer(kind)
    text = encode_texts(texts, made)
    amount = data.draw(st.sampled_from(AMOUNTS[kind]))
    drawn = passes(text, made, amount, seed=data.draw(st.integers(0, 99))).text(2)
    assert file_spellings(made, drawn) == file_spellings(made, text)
    assert drawn.ids[0] == text.ids[0] == made.eos_id
    assert drawn.ids.dtype == text.ids.dtype
    if amount == 0.0 and kind == "bpe":
        np.testing.assert_array_equal(drawn.ids, text.ids)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["english", "chinese"])
def test_the_best_segmentation_is_the_tokenizers_own(kind: str, name: str) -> None:
    made = tokenizer(kind, name)
    text = encode_texts([(TEXTS / f"{name}.txt").read_text(encoding="utf-8")], made)
    amount = 0.0 if kind == "bpe" else 1000.0
    found = passes(text, made, amount).text(0).ids
    if kind == "bpe":
        np.testing.assert_array_equal(found, text.ids)
    else:  # as likely, though where two are equally so it may be the other
        vocabulary = json.loads(made.to_json())["model"]["vocab"]
        scores = np.array([score for _, score in vocabulary])
        assert scores[found].sum() == pytest.approx(scores[text.ids].sum(), abs=0.1)


def test_all_merges_dropped_leaves_bytes(english_text: str) -> None:
    made = tokenizer("bpe")
    drawn = passes(encode_texts([english_text], made), made, 1.0).text(0)
    assert len(drawn.ids) == 1 + len(english_text.encode())


@pytest.mark.parametrize(("kind", "amount"), [("bpe", 0.3), ("unigram", 0.3)])
def test_a_pass_is_computed_from_seed_and_epoch(
    english_text: str, kind: str, amount: float
) -> None:
    made = tokenizer(kind)
    text = encode_texts([english_text], made)
    one, two = passes(text, made, amount, 5), passes(text, made, amount, 5)
    late = two.text(3)  # as after a resume, and then out of order
    assert same(one.text(0), two.text(0))
    assert [same(one.text(e), late) for e in (0, 1, 2, 3)] == [False] * 3 + [True]
    other = one.with_seed(6)
    assert not same(other.text(3), late)
    assert same(other.with_seed(5).text(3), late)
    assert same(other.typical, two.typical)


def test_a_word_is_segmented_in_several_ways_within_a_pass(english_text: str) -> None:
    made = tokenizer("bpe")
    text = encode_texts([english_text], made)
    drawn = passes(text, made, 0.4).text(1)
    whole = made.encode(" the", final=False)
    assert len(whole) == 1
    found = spelling(made, text.ids).count(b" the")
    assert 0 < np.count_nonzero(drawn.ids == whole[0]) < found


def test_words_are_those_of_pre_tokenization() -> None:
    made = tokenizer("bpe")
    text = encode_texts(["the cat's  hat, the cat's\n\nhat", "", "the"], made)
    found = find_words(text, made)
    words = [bytes(found.spellings.row(i)) for i in found.words]
    first = [b"the", b" cat", b"'s", b" ", b" hat", b",", b" the", b" cat", b"'s"]
    assert words == [b"\n", *first, b"\n", b"\n", b"hat", b"\n", b"the", b"\n"]
    assert len(set(words)) == len(found.spellings)
    assert found.starts.tolist() == [1, 14, 14]
    assert found.stops.tolist() == [14, 14, 16]


def test_blocks_make_no_difference(
    english_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tokenizer("bpe")
    text = encode_texts([english_text[:500], english_text[500:]], made)

    def parts() -> list[Any]:
        found: TextWords = find_words(text, made)
        return [found.words.tolist(), found.starts.tolist(), found.stops.tolist()]

    whole = parts()
    monkeypatch.setattr(text_words, "_BLOCK", 7)
    assert parts() == whole


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_of_one_endless_word_is_cut(kind: str, tmp_path: Path) -> None:
    letters = "".join(np.random.default_rng(0).choice(list("ACGT"), 5000))
    path = tmp_path / "genome.txt"
    path.write_text("\n".join(letters[i : i + 60] for i in range(0, 5000, 60)))
    made = train_pieces([TextFile(path)], kind, 300)
    text = encode_texts([letters], made)
    found = find_words(text, made)
    assert max(found.spellings.lengths) <= LONGEST_WORD
    best = passes(text, made, 0.0 if kind == "bpe" else 1000.0).text(0)
    if kind == "bpe":
        np.testing.assert_array_equal(best.ids, text.ids)
    drawn = passes(text, made, 0.3).text(0)
    assert spelling(made, drawn.ids) == spelling(made, text.ids)


def test_an_error_in_the_thread_is_raised_where_the_pass_is_wanted() -> None:
    class Broken:
        def draw(self, *_: Any) -> Any:
            raise MemoryError("no room")

    made = tokenizer("bpe")
    words = find_words(encode_texts(["the cat"], made), made)
    with pytest.raises(MemoryError, match="no room"):
        Resegmentation(words, Broken(), 0).text(0)
