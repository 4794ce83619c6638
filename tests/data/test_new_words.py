from pathlib import Path

import numpy as np
import pytest

from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.new_words import with_new_words
from keras_rnnlm.data.text_file import TextFile
from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.errors import InputError


def file_of(folder: Path, text: str) -> TextFile:
    path = folder / "new.txt"
    path.write_text(text, encoding="utf-8")
    return TextFile(path)


def test_words_that_are_frequent_enough_follow_the_old_ones(tmp_path: Path) -> None:
    old = Corpus.from_texts(["a b c a", "b a"], tokenizer="word").tokenizer
    file = file_of(tmp_path, "a zebra b gnu zebra\ngnu zebra <eos> <unk> yak\n")
    new = with_new_words(old, [file], minimum_count=2)
    assert new.tokens == [*old.tokens, "zebra", "gnu"]
    text = "c zebra a yak"
    known = new.encode(text)
    assert known.tolist()[1] == len(old.tokens)
    kept = known < len(old.tokens)
    np.testing.assert_array_equal(known[kept], old.encode(text)[kept])
    again = Tokenizer.from_json(new.to_json(), new.settings())
    np.testing.assert_array_equal(again.encode(text), known)
    assert with_new_words(old, [file], minimum_count=9) is old


def test_characters(tmp_path: Path) -> None:
    old = Corpus.from_texts(["山高", "水长"], tokenizer="char").tokenizer
    new = with_new_words(old, [file_of(tmp_path, "山月月\n")], minimum_count=1)
    assert new.tokens[: len(old.tokens)] == old.tokens
    assert new.tokens[len(old.tokens) :] == ["月"]
    assert new.decode(new.encode("山月")) == "山月"


def test_pieces_make_up_every_word(tmp_path: Path) -> None:
    old = Corpus.from_texts(["a b c d e f " * 9], tokenizer="bpe").tokenizer
    with pytest.raises(InputError, match="whose pieces make up every word"):
        with_new_words(old, [file_of(tmp_path, "zebra\n")], 1)


def test_only_training_text_gives_new_words() -> None:
    old = Corpus.from_texts(["a b c", "b a"], tokenizer="word").tokenizer
    corpus = Corpus.from_texts(
        ["a gnu"], valid=["a yak gnu"], tokenizer=old, new_words=1
    )
    assert corpus.tokenizer.tokens == [*old.tokens, "gnu"]
    assert corpus.valid is not None
    assert corpus.valid.counts.oov == 1
    assert "New words in the vocabulary: 1, beside 5." in corpus.notes
