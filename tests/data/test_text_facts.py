"""What a text is like, counted by hand and by brute force."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.text_facts import repeated_share, text_facts


@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=60),
    st.integers(1, 6),
)
def test_repeated_windows_are_those_that_stood_before(ids, window):
    array = np.array(ids, np.uint16)
    seen, again, number = set(), 0, 0
    for end in range(window, len(ids) + 1):
        passage = tuple(ids[end - window : end])
        again += passage in seen
        number += 1
        seen.add(passage)
    expected = again / number if number > 1 else 0.0
    assert repeated_share(array, window) == expected


def test_a_text_in_figures():
    corpus = Corpus.from_texts(["a b c a", "b b d"], tokenizer="word")
    facts = text_facts(corpus.train, "word", corpus.vocabulary_size)
    # Line ends are tokens too.
    assert facts.tokens == 9
    assert facts.types == 5
    assert facts.once == 2
    assert facts.lines == 2
    assert facts.repeated == 0.0
    assert facts.fresh == 9


def test_a_text_that_says_the_same_over_and_over():
    corpus = Corpus.from_texts(["the same line once more"] * 200, tokenizer="char")
    facts = text_facts(corpus.train, "char", corpus.vocabulary_size)
    assert facts.repeated > 0.99
    assert facts.fresh < 100
