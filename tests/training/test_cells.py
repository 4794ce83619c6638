"""Checkpoints hold the carried state of any cell: stopped runs end bit-equal."""

from pathlib import Path

import numpy as np
import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.training.train import train
from tests.training.test_resume_options import SMALL, same, stopped_at


@pytest.mark.parametrize(
    ("cell", "arguments"),
    [
        ("mlstm", {"heads": 2}),
        ("qrnn", {"pooling": "ifo"}),
        ("gru", {"reset_after": False}),
    ],
)
def test_a_stopped_run_goes_on_to_the_very_same_end(
    english_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cell: str,
    arguments: dict[str, object],
) -> None:
    corpus = Corpus.from_files(english_file, tokenizer="char", split=(0.7, 0.15, 0.15))
    small = {**SMALL, "max_steps": 16, "validations": 2, "weight_dropout": 0.2}
    settings = Settings(**small, cell=cell, cell_arguments=arguments)
    whole = train(corpus, settings, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stopped_at(5, patch)
        assert train(corpus, settings, tmp_path / "run").interrupted
    resumed = train(corpus, settings, tmp_path / "run", resume=True)
    assert same(whole, resumed)
    assert whole.language_model is not None
    found = whole.language_model.network.recurrent[0].cell
    assert all(getattr(found, name) == value for name, value in arguments.items())
    assert np.isfinite(whole.report["test"]["nats"])
