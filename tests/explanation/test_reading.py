import numpy as np
import pytest

from keras_rnnlm.data.tokenizers import CharacterTokenizer, WordTokenizer
from keras_rnnlm.errors import InputError
from keras_rnnlm.explanation.reading import read

WORDS = WordTokenizer(["the", "cat", "sat"], unk_is_word=False)


def test_characters_are_pieces_of_their_own() -> None:
    found = read(CharacterTokenizer("\nab"), "ab\nx", 10, 10)
    assert found.pieces == ["\n", "a", "b", "\n", "x"]
    assert found.ids.tolist() == [1, 2, 3, 1, 0]
    assert found.oov.tolist() == [False] * 4 + [True]
    assert not found.given and not found.more
    assert found.shown == found.predictions == 4


def test_without_line_ends_the_first_character_is_given() -> None:
    found = read(CharacterTokenizer("ab"), "aab", 10, 10)
    assert found.given
    assert found.pieces == ["a", "a", "b"]
    assert found.predictions == 2


def test_words_stand_with_their_spaces_and_unknown_ones_as_they_are() -> None:
    found = read(WORDS, "the dog sat\ncat", 10, 10)
    assert found.pieces == ["\n", "the", " dog", " sat", "\n", "cat", "\n"]
    assert found.oov.tolist() == [False, False, True, False, False, False, False]
    assert "".join(found.pieces[1:]) == "the dog sat\ncat\n"


def test_a_long_text_is_cut_at_a_token() -> None:
    text = "the cat sat\n" * 1000
    whole = WORDS.encode(text)
    found = read(WORDS, text, 5, 20)
    assert found.predictions == 20 and found.shown == 5 and found.more
    assert found.ids[1:].tolist() == whole[:20].tolist()
    # So much of it is one word that no second one is read.
    long = read(WORDS, "the " + "x" * 100_000, 1, 2)
    assert long.more and long.predictions == 1


def test_what_is_shown_is_measured() -> None:
    found = read(CharacterTokenizer("ab\n"), "ab" * 50, 30, 3)
    assert found.predictions == found.shown == 30


@pytest.mark.parametrize(
    ("tokenizer", "text", "needed"),
    [
        (WORDS, "", "something to predict, received an empty one"),
        (WORDS, "  ", "received a blank one"),
        (CharacterTokenizer("a\n"), "", "received an empty one"),
        (CharacterTokenizer("a"), "a", "two characters"),
    ],
)
def test_an_empty_text_is_refused(tokenizer: object, text: str, needed: str) -> None:
    with pytest.raises(InputError, match=needed):
        read(tokenizer, text, 5, 5)  # type: ignore[arg-type]


def test_ids_are_those_of_the_tokenizer(english_text: str) -> None:
    tokenizer = CharacterTokenizer(sorted(set(english_text)))
    found = read(tokenizer, english_text, 100, len(english_text))
    np.testing.assert_array_equal(found.ids[1:], tokenizer.encode(english_text))
