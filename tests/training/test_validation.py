"""Which tokens of a validation text the quick validation scores."""

from pathlib import Path

import numpy as np
import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.training import validation
from keras_rnnlm.training.validation import Validator, note_of_validation


@pytest.mark.once
def test_lines_of_a_long_text_keep_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "MOST_TOKENS", 500)
    corpus = Corpus.from_texts(
        ["a b c d e"], valid=["a b c d e"] * 200, tokenizer="word"
    )
    text = corpus.valid
    assert text is not None
    validator = Validator(text, "sentence")
    starts, stops = validator._starts, validator._stops
    assert 450 <= (stops - starts).sum() <= 500
    assert (text.ids[stops - 1] == corpus.tokenizer.eos_id).all()
    assert (stops - starts == 6).all()
    # From the first line to the last.
    assert (starts[0], stops[-1]) == (text.starts[0], text.stops[0])


@pytest.mark.once
def test_a_few_long_lines_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "MOST_TOKENS", 500)
    corpus = Corpus.from_texts(
        ["a b c d e"], valid=["a", "b " * 2000, "c"], tokenizer="word"
    )
    assert corpus.valid is not None
    validator = Validator(corpus.valid, "sentence")
    lengths = validator._stops - validator._starts
    assert len(lengths) == 3
    assert (lengths >= 1).all()
    assert 490 <= np.sum(lengths) <= 502


@pytest.mark.once
@pytest.mark.parametrize("protocol", [None, "carry", "lanes:100"])
def test_no_lane_is_too_short_to_tell_what_stood_before(
    tmp_path: Path, protocol: str | None
) -> None:
    words = [1, 60, 600, 40_000]
    files = [tmp_path / f"{number}.txt" for number in words]
    for file, number in zip(files, words, strict=True):
        file.write_text("a " * (number - 1) + "b\n")
    corpus = Corpus.from_files(files[2], valid=files, tokenizer="word")
    text = corpus.valid
    assert text is not None
    validator = Validator(text, protocol)
    starts, stops = validator._starts, validator._stops
    of_file = np.searchsorted(text.starts, starts, side="right") - 1
    assert np.bincount(of_file).tolist() == [1, 1, 2, 64]
    assert ((stops - starts)[of_file > 1] >= 256).all()
    # Nothing is left out, and nothing is read twice.
    assert np.sum(stops - starts) == sum(words) + len(files)


@pytest.mark.once
def test_of_many_files_some_lanes_are_read_and_those_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A little of every lane would be an estimate without what stood before."""
    monkeypatch.setattr(validation, "MOST_TOKENS", 25_000)
    words = [60] * 5 + [600] * 30 + [20_000]
    files = [tmp_path / f"{place:02}.txt" for place in range(len(words))]
    for file, number in zip(files, words, strict=True):
        file.write_text("a " * (number - 1) + "b\n")
    corpus = Corpus.from_files(files[5], valid=files, tokenizer="word")
    text = corpus.valid
    assert text is not None
    validator = Validator(text)
    lengths = validator._stops - validator._starts
    of_file = np.searchsorted(text.starts, validator._starts, side="right") - 1
    assert (lengths[of_file > 4] >= 256).all()
    assert 23_000 < lengths.sum() <= 25_000
    # From the first file to the last, in which most lanes are.
    assert (of_file[0], of_file[-1]) == (0, len(words) - 1)
    assert validator._stops[-1] == text.stops[-1]


@pytest.mark.once
def test_what_goes_by_validation_says_that_there_is_none() -> None:
    corpus = Corpus.from_texts(["a b", "b c"], valid=["a c"], tokenizer="word")
    some = Settings(patience=3, schedule="plateau")
    assert "by which patience=3 and schedule=plateau would go" in note_of_validation(
        None, some
    )
    assert "averaging=nt_asgd" in note_of_validation(
        None, Settings(averaging="nt_asgd")
    )
    assert note_of_validation(None, Settings()) == ""
    assert note_of_validation(corpus.valid, some) == ""
