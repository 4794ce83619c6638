import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.models.convolutional_lm import ConvolutionalLM
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.transformer_lm import TransformerLM
from keras_rnnlm.scoring.ngram import NGramModel
from keras_rnnlm.search import measures
from keras_rnnlm.search.measures import (
    BLOCKS,
    LEAST_PREDICTIONS,
    block_sums,
    network_memory,
    ngram_memory,
    ngram_speed,
)


@given(st.integers(1, 30_000))
def test_blocks_of_equal_length(count: int) -> None:
    found = block_sums(np.ones(count, np.float32))
    assert found.sum() == count
    assert 1 <= len(found) <= BLOCKS
    assert found.max() - found.min() <= 1
    assert len(found) == 1 or found.min() >= LEAST_PREDICTIONS


def test_blocks_are_in_the_order_of_the_text() -> None:
    nats = np.random.default_rng(0).random(12_345)
    found = block_sums(nats)
    edges = [len(nats) * block // BLOCKS for block in range(BLOCKS + 1)]
    for block, (begin, end) in enumerate(zip(edges, edges[1:], strict=False)):
        assert found[block] == pytest.approx(nats[begin:end].sum())


def test_memory_of_networks() -> None:
    """As docs/networks.md and docs/cells.md have it, in float32."""
    lstm = RNNLM(11, "lstm", units=6, layers=2, seed=0)
    assert network_memory(lstm) == (
        4 * (11 * 6 + 2 * 4 * (6 * 6 + 6 * 6 + 6) + 11),
        4 * (2 * 2 * 6),
    )
    transformer = TransformerLM(11, units=8, layers=2, heads=2, context=10, seed=0)
    assert network_memory(transformer)[1] == 4 * 2 * (2 * 9 * 8 + 1)
    convolutional = ConvolutionalLM(11, units=6, layers=3, kernel_width=4, seed=0)
    assert network_memory(convolutional)[1] == 4 * 3 * 3 * 6


def test_the_ngram_model(english_text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "GENERATED_SECONDS", 0.01)
    corpus = Corpus.from_texts(english_text.splitlines(), tokenizer="char")
    model = NGramModel.fit(corpus.train, corpus.vocabulary_size, 3)
    tables, context = ngram_memory(model)
    assert tables == 3 * 8 * sum(len(table) for table in model.tables)
    assert context == 2 * 4
    assert ngram_speed(model, corpus.train) > 0
    alone = NGramModel.fit(corpus.train, corpus.vocabulary_size, 1)
    assert ngram_speed(alone, corpus.train) > 0
