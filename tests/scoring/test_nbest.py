from pathlib import Path

import numpy as np
import pytest

from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.text import TextFile
from keras_rnnlm.data.tokenizers import train_tokenizer
from keras_rnnlm.scoring.lines import score_lines
from keras_rnnlm.scoring.nbest import score_nbest
from tests.scoring.texts import shared_network

LISTS = [
    ["the cat sat", "the cat sad", "the bat sat on", "the cat sat"],
    [],
    [""],
    ["zebra", "the zebra sat", "", "the dog\n"],
]


@pytest.fixture(scope="module", params=["word", "char", "bpe"])
def corpus(request: pytest.FixtureRequest) -> Corpus:
    size = 270 if request.param == "bpe" else None
    trained = ["the cat sat on the mat", "the dog saw a cat", "birds sang"]
    return Corpus.from_texts(trained, tokenizer=request.param, vocabulary_size=size)


def test_hypotheses_get_the_scores_of_lines(corpus: Corpus) -> None:
    network = shared_network(corpus.vocabulary_size)
    found = list(score_nbest(network, corpus.tokenizer, iter(LISTS)))
    assert [len(scores) for scores in found] == [4, 0, 1, 4]
    for hypotheses, scores in zip(LISTS, found, strict=True):
        wanted = list(score_lines(network, corpus.tokenizer, hypotheses))
        for score, line in zip(scores, wanted, strict=True):
            assert (score.text, score.tokens) == (line.text, line.tokens)
            assert score.ids.tolist() == line.ids.tolist()
            assert score.oov.tolist() == line.oov.tolist()
            np.testing.assert_allclose(
                score.log_probabilities, line.log_probabilities, atol=1e-5
            )
            assert score.total == pytest.approx(line.total, abs=1e-4)


def test_without_line_ends_the_first_character_is_given(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("abcab", encoding="utf-8")
    tokenizer = train_tokenizer([TextFile(file)], kind="char")
    assert tokenizer.line_end_id is None
    network = shared_network(tokenizer.vocabulary_size)
    ((empty, one, two),) = score_nbest(network, tokenizer, [["", "a", "ab"]])
    assert (empty.tokens, one.tokens, two.tokens) == ([], [], ["b"])
