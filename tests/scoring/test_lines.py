import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.store import encode_texts
from keras_rnnlm.data.text import TextFile
from keras_rnnlm.data.tokenizers import train_tokenizer
from keras_rnnlm.scoring import lines as module
from keras_rnnlm.scoring.lines import score_lines
from keras_rnnlm.scoring.report import evaluate
from tests.scoring.texts import shared_network, step_by_step

LINES = ["the cat sat", "", "the dog saw the bird", "a cat"]


@pytest.fixture(scope="module", params=["word", "char", "bpe"])
def corpus(request: pytest.FixtureRequest) -> Corpus:
    size = 270 if request.param == "bpe" else None
    trained = ["the cat sat on the mat", "the dog saw a cat", "birds sang"]
    return Corpus.from_texts(trained, tokenizer=request.param, vocabulary_size=size)


def test_lines_are_scored_one_by_one(corpus: Corpus) -> None:
    network = shared_network(corpus.vocabulary_size)
    tokenizer = corpus.tokenizer
    scores = list(score_lines(network, tokenizer, LINES))
    assert [score.text for score in scores] == LINES
    for line, score in zip(LINES, scores, strict=True):
        wanted, oov = tokenizer.encode_with_oov(line + "\n")
        assert score.ids.tolist() == wanted.tolist()
        assert score.tokens == [tokenizer.tokens[i] for i in wanted]
        assert np.flatnonzero(score.oov).tolist() == list(oov)
        ids = np.append(tokenizer.line_end_id, wanted)
        nats, _ = step_by_step(network, ids, 1, len(ids))
        np.testing.assert_allclose(score.log_probabilities, -nats, atol=1e-5)
        assert score.log_probabilities.dtype == np.float64
        assert score.total == pytest.approx(-nats.sum(), abs=1e-4)
        assert score.log10 == pytest.approx(score.total / math.log(10))
        assert score.perplexity == pytest.approx(math.exp(nats.mean()), rel=1e-4)


def test_totals_are_those_of_the_sentence_protocol(corpus: Corpus) -> None:
    network = shared_network(corpus.vocabulary_size)
    text = "".join(line + "\n" for line in LINES)
    if corpus.tokenizer.start_id is None:
        text = "\n" + text  # the first character of a file is not predicted
    report = evaluate(network, encode_texts([text], corpus.tokenizer), "sentence")
    scores = list(score_lines(network, corpus.tokenizer, LINES))
    assert -sum(score.total for score in scores) == pytest.approx(report.nats, rel=1e-6)
    assert sum(len(score.tokens) for score in scores) == report.tokens
    assert sum(int(score.oov.sum()) for score in scores) == report.oov


def test_the_batch_size_and_blocks_make_no_difference(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = shared_network(corpus.vocabulary_size)
    wanted = [s.total for s in score_lines(network, corpus.tokenizer, LINES * 3)]
    monkeypatch.setattr(module, "BLOCK_LINES", 5)
    scores = score_lines(network, corpus.tokenizer, LINES * 3, batch_size=3)
    np.testing.assert_allclose([s.total for s in scores], wanted, atol=1e-4)


def test_lines_are_taken_as_they_come(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = shared_network(corpus.vocabulary_size)
    monkeypatch.setattr(module, "BLOCK_LINES", 2)
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield "the cat\n"

    score = next(score_lines(network, corpus.tokenizer, endless()))
    assert (score.text, taken) == ("the cat", 2)


def test_without_line_ends_the_first_character_is_given(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("abcab", encoding="utf-8")
    tokenizer = train_tokenizer([TextFile(file)], kind="char")
    assert tokenizer.line_end_id is None
    network = shared_network(tokenizer.vocabulary_size)
    empty, one, two = score_lines(network, tokenizer, ["", "a", "ab"])
    assert (empty.tokens, empty.total, empty.perplexity) == ([], 0, None)
    assert (one.tokens, one.total) == ([], 0)
    assert two.tokens == ["b"]
