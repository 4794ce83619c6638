"""Training of networks that are not recurrent, from settings to a model folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.language_model import load
from keras_rnnlm.models.networks import kind_of
from keras_rnnlm.training.train import train

KINDS: list[dict[str, Any]] = [
    {"network": "transformer", "heads": 2, "context": 16},
    {"network": "convolutional", "kernel_width": 3},
]


@pytest.mark.parametrize("options", KINDS)
def test_from_text_to_text(
    english_file: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    corpus = Corpus.from_files(english_file, valid=english_file, tokenizer="char")
    settings = Settings(
        **options, units=16, layers=1, batch_size=4, steps=12, max_steps=60,
        learning_rate=0.01, validations=3, dropout=0.1,
    )  # fmt: skip
    result = train(corpus, settings, tmp_path / "m")
    report = result.report
    assert report["valid"]["perplexity"] < 0.7 * corpus.vocabulary_size
    assert report["loops"] == []
    model = load(result.folder)
    assert kind_of(model.network) == options["network"]
    found = model.evaluate(corpus.valid)
    assert found.perplexity == pytest.approx(report["valid"]["perplexity"], rel=1e-4)
    text = model.generate("the ", 20, seed=1)
    assert isinstance(text, str) and len(text) == 20
    lists = [["the cat sat", "the cat sad"], ["a dog"]]
    for given, scores in zip(lists, model.score_nbest(lists), strict=True):
        alone = [model.score(line).total for line in given]
        np.testing.assert_allclose([s.total for s in scores], alone, atol=1e-4)
    assert f"{options['network'].capitalize()} language model" in (
        result.folder / "README.md"
    ).read_text(encoding="utf-8")
