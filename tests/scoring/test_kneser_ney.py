import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.scoring.kneser_ney import FALLBACK
from keras_rnnlm.scoring.ngram import NGramModel
from tests.scoring.kneser_ney_reference import START, Reference, sentences
from tests.scoring.texts import encoded

FILE = st.lists(st.integers(0, 5), min_size=1, max_size=40)
CONTEXTS = st.sampled_from(["sentence", "stream"])


def zipf(start: bool, size: int = 400) -> EncodedText:
    rng = np.random.default_rng(3)
    files = [rng.zipf(1.5, size) % 30, rng.zipf(1.5, size // 2) % 30]
    return encoded(files, line_end=0, start=start)


def check(text: EncodedText, v: int, order: int, contexts: str) -> NGramModel:
    model = NGramModel.fit(text, v, order, contexts=contexts)
    lines = sentences(text, model.sentence_end)
    reference = Reference(lines, v, order)
    wanted = [
        np.log(reference.p(line[i], (START, *line[:i])))
        for line in lines
        for i in range(len(line))
    ]
    if text.start_id is None:  # the first character of a file is not predicted
        firsts = np.cumsum([0, *(stop - start + 1 for start, stop in _files(text))])
        wanted = np.delete(wanted, firsts[:-1]).tolist()
    np.testing.assert_allclose(model.log_probabilities(text), wanted, rtol=1e-10)
    np.testing.assert_allclose(model.discounts, reference.discounts[1:], rtol=1e-12)
    return model


def _files(text: EncodedText) -> list[tuple[int, int]]:
    return list(zip(text.starts.tolist(), text.stops.tolist(), strict=True))


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("contexts", "start"), [("sentence", True), ("stream", True), ("stream", False)]
)
def test_probabilities_are_those_of_the_equations(
    order: int, contexts: str, start: bool
) -> None:
    model = check(zipf(start), 33, order, contexts)
    # Enough text for discounts of its own, except for single words.
    assert order == 1 or not all(model.fallback)


def test_an_order_above_the_longest_line() -> None:
    check(encoded([[1, 0, 2, 0]], line_end=0), 5, 5, "sentence")
    check(encoded([[0], [0]], line_end=0), 5, 4, "sentence")


@settings(deadline=None, max_examples=40)
@given(
    files=st.lists(FILE, min_size=1, max_size=3),
    order=st.integers(1, 4),
    contexts=CONTEXTS,
)
def test_small_texts_too(files: list[list[int]], order: int, contexts: str) -> None:
    model = check(encoded(files, line_end=0), 7, order, contexts)
    for discounts, fallback in zip(model.discounts, model.fallback, strict=True):
        assert fallback == (discounts == FALLBACK)


@settings(deadline=None, max_examples=40)
@given(
    files=st.lists(FILE, min_size=1, max_size=3),
    order=st.integers(1, 4),
    contexts=CONTEXTS,
    history=st.lists(st.integers(0, 8), max_size=5),
)
def test_every_distribution_sums_to_one(
    files: list[list[int]], order: int, contexts: str, history: list[int]
) -> None:
    # Words 6 and 7 are never seen, and 8 is the start.
    model = NGramModel.fit(encoded(files, line_end=0), 8, order, contexts=contexts)
    p = model.next_probabilities(np.array(history, np.int64))
    assert p.shape == (8,)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert (p > 0).all()


def test_counts_of_blocks_are_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    text = zipf(start=True)
    whole = NGramModel.fit(text, 33, 4)
    monkeypatch.setattr("keras_rnnlm.scoring.kneser_ney._BLOCK", 37)
    parts = NGramModel.fit(text, 33, 4)
    for one, other in zip(whole.tables, parts.tables, strict=True):
        np.testing.assert_array_equal(one.keys, other.keys)
        np.testing.assert_array_equal(one.log_probabilities, other.log_probabilities)
        np.testing.assert_array_equal(one.log_backoffs, other.log_backoffs)
