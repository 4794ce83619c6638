import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import InputError
from keras_rnnlm.scoring.ngram import NGramModel
from tests.scoring.texts import encoded

IDS = st.lists(st.integers(0, 6), min_size=1, max_size=60)


@settings(deadline=None)
@given(files=st.lists(IDS, min_size=1, max_size=3), order=st.sampled_from([1, 2]))
def test_the_probabilities_after_every_word_sum_to_one(
    files: list[list[int]], order: int
) -> None:
    vocabulary_size = 9  # two words are never seen
    model = NGramModel.fit(encoded(files, line_end=0), vocabulary_size, order)
    words = np.arange(vocabulary_size)
    for context in words:
        p = model.probabilities(np.full(vocabulary_size, context), words)
        assert p.sum() == pytest.approx(1, abs=1e-12)
        assert (p > 0).all()


def test_a_bigram_model_is_kneser_ney_written_out() -> None:
    # The formula of the module, word by word, on pairs across two files.
    rng = np.random.default_rng(0)
    files = [(rng.zipf(1.5, 300) % 40).tolist() for _ in range(2)]
    text = encoded(files, line_end=0)
    v = 45
    pairs = Counter(
        (int(text.ids[p - 1]), int(text.ids[p]))
        for begin, end in zip(text.starts, text.stops, strict=True)
        for p in range(begin, end)
    )

    def discount(counts: list[int]) -> float:
        ones, twos = counts.count(1), counts.count(2)
        return ones / (ones + 2 * twos)

    d = discount(list(pairs.values()))
    before = Counter(w for _, w in pairs)
    d_lower = discount(list(before.values()))
    kinds = len(pairs)

    def lower(w: int) -> float:
        share = d_lower * len(before) / kinds
        return max(before[w] - d_lower, 0) / kinds + share / v

    def p(h: int, w: int) -> float:
        total = sum(n for (a, _), n in pairs.items() if a == h)
        if not total:
            return lower(w)
        followers = sum(a == h for a, _ in pairs)
        return max(pairs[h, w] - d, 0) / total + d * followers / total * lower(w)

    model = NGramModel.fit(text, v, 2)
    h, w = np.divmod(np.arange(v * v), v)
    wanted = [p(a, b) for a, b in zip(h.tolist(), w.tolist(), strict=True)]
    np.testing.assert_allclose(model.probabilities(h, w), wanted, rtol=1e-12)


def test_totals_are_those_of_the_predictions() -> None:
    text = encoded([[1, 2, 1, 0], [3, 0]], line_end=0, oov=[2])
    model = NGramModel.fit(text, 5, 2)
    nats = [
        -math.log(model.probabilities(np.array([a]), np.array([b]))[0])
        for a, b in [(0, 1), (1, 2), (2, 1), (1, 0), (0, 3), (3, 0)]
    ]
    totals = model.totals(text)
    assert (totals.tokens, totals.oov) == (6, 1)
    assert totals.nats == pytest.approx(sum(nats), rel=1e-12)
    assert totals.nats_without_oov == pytest.approx(sum(nats) - nats[1], rel=1e-12)


def test_a_bigram_beats_a_unigram_where_words_follow_each_other() -> None:
    text = encoded([[1, 2, 3, 0] * 50], line_end=0)
    unigram, bigram = (NGramModel.fit(text, 8, n).totals(text) for n in (1, 2))
    assert 3.9 < unigram.perplexity < 4.3
    assert bigram.perplexity < 1.1


def test_counts_of_blocks_are_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    text = encoded([np.random.default_rng(1).integers(0, 9, 500)], line_end=0)
    whole = NGramModel.fit(text, 9, 2)
    monkeypatch.setattr("keras_rnnlm.scoring.ngram._BLOCK", 37)
    parts = NGramModel.fit(text, 9, 2)
    np.testing.assert_array_equal(whole.keys, parts.keys)
    np.testing.assert_array_equal(whole.seen, parts.seen)
    np.testing.assert_array_equal(whole.backoff, parts.backoff)


def test_what_cannot_be_fitted_is_refused() -> None:
    nothing = encoded([[1]], line_end=0, start=False)
    for order in (1, 2):
        with pytest.raises(InputError, match="longer text"):
            NGramModel.fit(nothing, 5, order)
    with pytest.raises(ValueError, match="order 1 or 2, received 3"):
        NGramModel.fit(encoded([[1, 2]], line_end=0), 5, 3)


def test_figures_on_penn_treebank(needs_data: Callable[[str], Path]) -> None:
    folder = needs_data("ptb")
    corpus = Corpus.from_files(
        folder / "train.txt",
        valid=folder / "valid.txt",
        test=folder / "test.txt",
        tokenizer="word",
    )
    assert corpus.test is not None
    assert corpus.test.counts.words + corpus.test.counts.lines == 82_430
    for order, wanted in ((1, 639.30), (2, 186.80)):
        model = NGramModel.fit(corpus.train, corpus.vocabulary_size, order)
        totals = model.totals(corpus.test)
        assert (totals.tokens, totals.oov) == (82_430, 0)
        assert totals.perplexity == pytest.approx(wanted, abs=0.01)
