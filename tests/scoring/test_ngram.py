from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from keras_rnnlm.data.character_tokenizer import CharacterTokenizer
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.data.store import encode_texts
from keras_rnnlm.errors import InputError
from keras_rnnlm.scoring.ngram import NGramModel
from keras_rnnlm.scoring.ngram_tables import places_of_endings
from keras_rnnlm.scoring.protocols import Protocol, segments
from tests.scoring.texts import encoded

V = 9


def files(seed: int, start: bool = True) -> EncodedText:
    rng = np.random.default_rng(seed)
    return encoded([rng.integers(0, V, n) for n in (60, 1, 25)], 0, start)


@pytest.mark.parametrize("contexts", ["sentence", "stream"])
@pytest.mark.parametrize("start", [True, False])
def test_each_prediction_is_looked_up_after_its_own_history(
    contexts: str, start: bool
) -> None:
    model = NGramModel.fit(files(0, start), V, 4, contexts=contexts)
    text = files(1, start)
    found = model.log_probabilities(text)
    wanted = []
    for begin, stop in zip(*segments(text, Protocol("carry")), strict=True):
        first = int(begin) - (not start)
        for place in range(int(begin), int(stop)):
            history = text.ids[first:place].tolist()
            if contexts == "sentence" and 0 in history:
                history = history[len(history) - history[::-1].index(0) :]
            p = model.next_probabilities(np.array([V, *history]))
            wanted.append(np.log(p[text.ids[place]]))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_blocks_of_queries_join(monkeypatch: pytest.MonkeyPatch) -> None:
    model, text = NGramModel.fit(files(0), V, 4), files(1)
    whole, features = model.log_probabilities(text), model.context_features(text)
    monkeypatch.setattr("keras_rnnlm.scoring.ngram._BLOCK", 7)
    np.testing.assert_array_equal(model.log_probabilities(text), whole)
    np.testing.assert_array_equal(model.context_features(text), features)


def test_features_are_of_the_longest_context_that_was_seen() -> None:
    model = NGramModel.fit(files(0), V, 3)
    text = files(1)
    found = model.context_features(text)
    history: list[int] = []
    for place, features in zip(range(1, len(text.ids)), found, strict=True):
        if text.ids[place - 1] == 0 or place in text.starts:
            history = [V]
        seen = [
            endings[-1]
            for n in (1, 2)
            if len(history) >= n
            and (
                endings := places_of_endings(model.tables, np.array(history[-n:]))[
                    n - 1
                ]
            )[-1]
            >= 0
        ]
        length = len(seen)
        assert features[0] == length
        assert features[1] == model.tables[length - 1].log_backoffs[seen[-1]]
        history.append(int(text.ids[place]))
    assert NGramModel.fit(files(0), V, 1).context_features(text).shape == found.shape


def test_words_have_sentences_and_characters_a_stream() -> None:
    assert NGramModel.fit(files(0), V, 2).sentence_end == 0
    assert NGramModel.fit(files(0, start=False), V, 2).sentence_end is None


def test_a_stream_remembers_what_stood_before_the_line_end() -> None:
    # The token behind a line end repeats the one before it.
    text = encoded([[1, 0, 1, 2, 0, 2, 3, 0, 3] * 20], line_end=0)
    carried = NGramModel.fit(text, 5, 3, contexts="stream").totals(text)
    fresh = NGramModel.fit(text, 5, 3, contexts="sentence").totals(text)
    assert carried.perplexity < 1.3 < fresh.perplexity


@pytest.mark.parametrize("texts", [["", "abcab"], ["abcab", "", "b", "ba"], ["ab", ""]])
def test_files_of_no_characters_make_no_difference(texts: list[str]) -> None:
    tokenizer = CharacterTokenizer(["a", "b", "c"])
    found = []
    for files in (texts, [text for text in texts if text]):
        text = encode_texts(files, tokenizer)
        model = NGramModel.fit(text, tokenizer.vocabulary_size, 3)
        found.append(model.log_probabilities(text))
        assert len(found[-1]) == text.counts.tokens_predicted
    np.testing.assert_array_equal(*found)


def test_totals_are_those_of_the_predictions() -> None:
    text = encoded([[1, 2, 1, 0], [3, 0]], line_end=0, oov=[2])
    model = NGramModel.fit(text, 5, 2)
    nats = -model.log_probabilities(text)
    totals = model.totals(text)
    assert (totals.tokens, totals.oov) == (6, 1)
    assert totals.nats == pytest.approx(nats.sum(), rel=1e-12)
    assert totals.nats_without_oov == pytest.approx(nats.sum() - nats[1], rel=1e-12)


def test_longer_contexts_help_where_words_follow_each_other() -> None:
    text = encoded([[1, 2, 3, 0] * 50], line_end=0)
    unigram, bigram = (NGramModel.fit(text, 8, n).totals(text) for n in (1, 2))
    assert 3.9 < unigram.perplexity < 4.3
    assert bigram.perplexity < 1.1


def test_what_cannot_be_fitted_is_refused() -> None:
    nothing = encoded([[]], line_end=0)
    for order in (1, 2):
        with pytest.raises(InputError, match="longer text"):
            NGramModel.fit(nothing, 5, order)
    some = encoded([[1, 2]], line_end=0)
    with pytest.raises(ValueError, match="order of 1 or more, received 0"):
        NGramModel.fit(some, 5, 0)
    with pytest.raises(ValueError, match="received 'lines'"):
        NGramModel.fit(some, 5, 2, contexts="lines")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="ids below 2"):
        NGramModel.fit(some, 2, 2)
    with pytest.raises(InputError, match="with a line end"):
        unended = encoded([[1, 2]], line_end=None, start=False)
        NGramModel.fit(unended, 5, 2, contexts="sentence")
    with pytest.raises(InputError, match="ids below 5"):
        NGramModel.fit(some, 5, 2).log_probabilities(encoded([[7]], line_end=0))


def test_figures_on_penn_treebank(needs_data: Callable[[str], Path]) -> None:
    # Those of KenLM's `lmplz` on the same text, its literal <unk> kept as a word.
    folder = needs_data("ptb")
    corpus = Corpus.from_files(
        folder / "train.txt",
        valid=folder / "valid.txt",
        test=folder / "test.txt",
        tokenizer="word",
    )
    assert corpus.test is not None
    for order, wanted in ((3, 148.28), (5, 141.19)):
        model = NGramModel.fit(corpus.train, corpus.vocabulary_size, order)
        totals = model.totals(corpus.test)
        assert (totals.tokens, totals.oov) == (82_430, 0)
        assert round(totals.perplexity, 2) == wanted


def test_figures_on_tinyshakespeare(needs_data: Callable[[str], Path]) -> None:
    # A carried stream of characters. `lmplz -o 7 --discount_fallback`, given the
    # training characters as the words of one line, has 1.51648: its vocabulary has
    # the end of that line too.
    text = (needs_data("shakespeare") / "input.txt").read_text()
    train, valid = text[:1_003_854], text[1_003_854:]
    tokenizer = CharacterTokenizer(sorted(set(train)))
    model = NGramModel.fit(
        encode_texts([train], tokenizer), tokenizer.vocabulary_size, 7
    )
    totals = model.totals(encode_texts([valid], tokenizer))
    assert (totals.tokens, totals.oov) == (111_539, 0)
    assert totals.loss == pytest.approx(1.51648, abs=2e-5)
