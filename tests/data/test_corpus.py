"""Corpora: which text is for what, and what is said about it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import keras_rnnlm as krl
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import InputError

TWO_LINES = ["the cat sat on the mat", "the dog sat on the log"]


def written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def numbered(lines: int) -> str:
    return "".join(f"line number {n} of the text\n" for n in range(lines))


def test_two_lines_are_a_corpus() -> None:
    corpus = krl.Corpus.from_texts(TWO_LINES)
    assert corpus.valid is None
    assert corpus.test is None
    assert corpus.tokenizer.kind == "word"
    assert corpus.train.counts.lines == 2
    assert corpus.train.counts.tokens_predicted == 14
    batches = corpus.train.batches(20, 35)
    x, _ = batches[0]
    assert x["tokens"].shape == (1, 14)
    assert batches.note
    assert len(corpus.train.batches(20, mode="sentence")) == 1


def test_each_string_is_a_line_and_may_be_empty() -> None:
    corpus = Corpus.from_texts(["a b", "", "c d\n", "e\nf"], tokenizer="word")
    assert corpus.train.counts.lines == 5
    assert corpus.tokenizer.decode(corpus.train.ids[1:]) == "a b\n\nc d\ne\nf\n"


def test_given_texts_are_used_and_unknown_words_and_shared_lines_said() -> None:
    corpus = Corpus.from_texts(
        TWO_LINES, valid=[TWO_LINES[0], "the bird sang"], test=["no no no"]
    )
    assert corpus.valid is not None
    assert corpus.test is not None
    assert corpus.valid.counts.oov == 2
    assert corpus.shared_lines == {"valid": 1, "test": 0}
    notes = " ".join(corpus.notes)
    assert "Words, because" in notes
    assert "validation text that stand in the training text too: 1 of 2" in notes
    assert "validation text that are not in the vocabulary: 2 of 11 (18.18%)" in notes
    assert "test text that are not in the vocabulary: 3 of 4" in notes


def test_the_vocabulary_comes_from_training_text_alone(tmp_path: Path) -> None:
    text = numbered(400)
    corpus = Corpus.from_files(
        written(tmp_path / "all.txt", text), tokenizer="word", cache=tmp_path
    )
    assert corpus.valid is not None
    assert corpus.test is not None
    # The last lines have numbers that no other line has.
    assert "399" not in corpus.tokenizer.tokens
    assert corpus.test.counts.oov == corpus.test.counts.lines > 0
    counts = [part.counts for part in corpus.parts().values()]
    assert sum(c.characters for c in counts) == len(text)
    assert sum(c.raw_bytes for c in counts) == len(text)
    assert sum(c.lines for c in counts) == 400
    assert counts[1].characters == pytest.approx(len(text) / 20, rel=0.1)
    assert any("5% each for validation and test" in note for note in corpus.notes)


def test_only_validation_is_held_out_where_a_test_file_is_given(tmp_path: Path) -> None:
    train = written(tmp_path / "train.txt", numbered(400))
    test = written(tmp_path / "test.txt", "line of the text\n")
    corpus = Corpus.from_files(train, test=test, tokenizer="char", cache=tmp_path)
    assert corpus.valid is not None
    assert corpus.test is not None
    assert corpus.test.names == [str(test)]
    assert corpus.valid.counts.characters == pytest.approx(
        len(numbered(400)) / 20, rel=0.1
    )
    # What stays for training is one part of the file, not two.
    assert len(corpus.train.starts) == 1
    assert corpus.train.counts.lines + corpus.valid.counts.lines == 400


def test_nothing_is_held_out_where_a_validation_file_is_given(tmp_path: Path) -> None:
    train = written(tmp_path / "train.txt", numbered(400))
    valid = written(tmp_path / "valid.txt", numbered(4))
    corpus = Corpus.from_files(train, valid=valid, cache=tmp_path)
    assert corpus.test is None
    assert corpus.train.counts.lines == 400


def test_a_split_is_by_characters_and_exact_for_characters(tmp_path: Path) -> None:
    path = written(tmp_path / "all.txt", numbered(100))
    total = len(numbered(100))
    corpus = Corpus.from_files(path, split=(0.9, 0.1), tokenizer="char", cache=tmp_path)
    assert corpus.train.counts.characters == int(0.9 * total)
    assert corpus.test is None
    corpus = Corpus.from_files(
        path, split=(0.8, 0.1, 0.1), tokenizer="word", cache=tmp_path
    )
    assert [part.counts.lines for part in corpus.parts().values()] == [81, 10, 9]


def test_a_split_may_stand_beside_a_test_file_but_not_contradict_one(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "all.txt", numbered(100))
    corpus = Corpus.from_files(path, test=path, split=(0.9, 0.1), cache=tmp_path)
    assert set(corpus.parts()) == {"train", "valid", "test"}
    with pytest.raises(InputError, match="one or the other"):
        Corpus.from_files(path, valid=path, split=(0.9, 0.1), cache=tmp_path)
    with pytest.raises(InputError, match=r"0\.9,0\.1.*Received: 1\."):
        Corpus.from_files(path, split=(1.0,), cache=tmp_path)


def test_a_short_file_trains_without_held_out_text(tmp_path: Path) -> None:
    path = written(tmp_path / "two.txt", "\n".join(TWO_LINES))
    corpus = Corpus.from_files(path, cache=tmp_path)
    assert corpus.valid is None
    assert corpus.train.counts.lines == 2
    assert any("too short to hold any of it out" in note for note in corpus.notes)


@pytest.mark.parametrize("end", ["\n\n", "\nk"], ids=repr)
def test_the_blank_behind_a_paragraph_is_no_held_out_text(
    tmp_path: Path, end: str
) -> None:
    """Nor is a single character, which a model of characters cannot predict."""
    path = written(tmp_path / "a.txt", "One paragraph, with marks. " * 20 + end)
    corpus = Corpus.from_files(path, cache=tmp_path)
    assert corpus.tokenizer.kind == "char"
    assert set(corpus.parts()) == {"train"}
    assert corpus.train.counts.characters == 540 + len(end)
    assert any("too short to hold any of it out" in note for note in corpus.notes)


def test_the_note_says_how_much_of_a_large_text_is_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a.txt", numbered(400))
    corpus = Corpus.from_files(path, cache=tmp_path)
    assert any(": 5% each for validation and" in note for note in corpus.notes)
    for module in ("parts", "splits"):
        monkeypatch.setattr(f"keras_rnnlm.data.{module}.HELD_OUT_MOST", 100)
    corpus = Corpus.from_files(path, cache=tmp_path)
    assert corpus.valid is not None
    assert corpus.valid.counts.characters < 130
    assert any(": 100 characters each for valid" in note for note in corpus.notes)


def test_a_long_text_of_one_line_is_split_inside_it(tmp_path: Path) -> None:
    path = written(tmp_path / "one.txt", "ab cd ef gh ij kl " * 3000)
    corpus = Corpus.from_files(path, tokenizer="word", split=(0.9, 0.1), cache=tmp_path)
    assert corpus.valid is not None
    assert corpus.valid.counts.words == pytest.approx(1800, abs=2)
    short = written(tmp_path / "short.txt", "ab cd ef gh ij kl " * 30)
    with pytest.raises(InputError, match="too short to split"):
        Corpus.from_files(short, tokenizer="word", split=(0.9, 0.1), cache=tmp_path)


def test_a_text_of_unknown_words_is_said_to_be_one(tmp_path: Path) -> None:
    path = written(tmp_path / "text.txt", numbered(100))
    known = written(tmp_path / "known.txt", "Quux\nQuuux")
    with pytest.raises(InputError, match=r"No word of .* is in the vocabulary"):
        Corpus.from_files(path, tokenizer="word", vocabulary_file=known, cache=tmp_path)


def test_held_out_text_has_something_to_predict(tmp_path: Path) -> None:
    path = written(tmp_path / "30.txt", "abcdefghij" * 3)
    with pytest.raises(InputError, match="Expected a validation text with at least"):
        Corpus.from_files(
            path, split=(0.9, 0.05, 0.05), tokenizer="char", cache=tmp_path
        )
    one = written(tmp_path / "one.txt", "a")
    with pytest.raises(InputError, match=r"Expected a test text.*in .*one\.txt"):
        Corpus.from_files(path, test=one, tokenizer="char", cache=tmp_path)


def test_a_long_text_of_one_line_is_cut_inside_it(tmp_path: Path) -> None:
    path = written(tmp_path / "one.txt", "ab cd ef gh ij kl\t" * 2000)
    corpus = Corpus.from_files(path, cache=tmp_path)
    assert set(corpus.parts()) == {"train", "valid", "test"}


@pytest.mark.parametrize(
    "text", ["hello", "hello\n", "Hello!", "no no no no\n", "\n\n\n"]
)
def test_a_text_of_one_word_is_refused(text: str, tmp_path: Path) -> None:
    path = written(tmp_path / "one.txt", text)
    with pytest.raises(InputError, match="at least two different"):
        Corpus.from_files(path, cache=tmp_path)


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="list of strings"):
        Corpus.from_texts("the cat")
    with pytest.raises(InputError, match="empty"):
        Corpus.from_texts([])
    with pytest.raises(InputError, match="empty"):
        Corpus.from_texts(TWO_LINES, test=[""])
    with pytest.raises(InputError, match="surrogate"):
        Corpus.from_texts(["a \ud800 b"])
    with pytest.raises(InputError, match="word"):
        Corpus.from_texts(TWO_LINES, tokenizer="wrod")
    with pytest.raises(InputError, match="no such file"):
        Corpus.from_files(tmp_path / "absent.txt")


def test_a_tokenizer_can_be_given_and_options_reach_it(tmp_path: Path) -> None:
    first = Corpus.from_texts(TWO_LINES, tokenizer="word", minimum_count=2)
    assert first.train.counts.oov == 4
    second = Corpus.from_texts(["the cat"], tokenizer=first.tokenizer)
    assert second.tokenizer is first.tokenizer
    assert second.train.counts.oov == 1
    words = written(tmp_path / "words.txt", "the\ncat\nsat\n")
    third = Corpus.from_texts(TWO_LINES, vocabulary_file=words)
    assert third.tokenizer.kind == "word"
    assert {"the", "cat", "sat"} <= set(third.tokenizer.tokens)
    assert "dog" not in third.tokenizer.tokens


def test_chinese_is_read_by_characters(chinese_file: Path, tmp_path: Path) -> None:
    corpus = Corpus.from_files(chinese_file, cache=tmp_path)
    assert corpus.tokenizer.kind == "char"
    assert not corpus.train.spaced


def test_the_description_is_fit_for_a_report(tmp_path: Path) -> None:
    path = written(tmp_path / "all.txt", numbered(100))
    corpus = Corpus.from_files(path, split=(0.9, 0.1), cache=tmp_path)
    described = json.loads(json.dumps(corpus.describe()))
    assert described["vocabulary_size"] == corpus.vocabulary_size
    assert described["valid"]["sha256"] == corpus.hashes["valid"]
    assert described["valid"]["shared_lines"] == 0
    assert described["train"]["files"] == [str(path)]
    assert described["train"]["tokens_predicted"] > 0
    assert "test" not in described


def test_shakespeare_splits_where_others_split_it(
    needs_data: Callable[[str], Path],
) -> None:
    corpus = Corpus.from_files(
        needs_data("shakespeare") / "input.txt", split=(0.9, 0.1), tokenizer="char"
    )
    assert corpus.valid is not None
    assert corpus.train.counts.characters == 1_003_854
    assert corpus.valid.counts.tokens_predicted == 111_539
    assert np.unique(corpus.train.ids).max() < corpus.vocabulary_size
