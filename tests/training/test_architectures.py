"""Mixture, dense connections and attention from settings to text that is generated."""

from pathlib import Path

import keras
import numpy as np
import pytest

import keras_rnnlm as krl
from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.training.train import train
from tests.scoring.texts import compiled_step


def test_from_settings_to_scores_and_text(english_file: Path, tmp_path: Path) -> None:
    corpus = Corpus.from_files(english_file, tokenizer="char", split=(0.7, 0.15, 0.15))
    settings = Settings.from_recipe(
        None,
        [
            "units=10",
            "layers=2",
            "output=mixture",
            "mixtures=2",
            "mixture_dropout=0.2",
            "connections=dense",
            "attention=12",
            "activation_penalty=1",
            "batch_size=4",
            "steps=8",
            "max_steps=30",
            "protocol=carry",
        ],
    )
    report = train(corpus, settings, tmp_path / "run").report
    lm = krl.load(tmp_path / "run")
    again = lm.evaluate(corpus.test)
    assert again.nats == pytest.approx(report["test"]["nats"], rel=1e-6)

    scored = lm.score("the cat saw the bird in the old tree")
    # A step a character, by the network alone.
    step = compiled_step(lm.network)
    state, nats = lm.network.initial_state(1), 0.0
    inputs = [lm.tokenizer.line_end_id, *scored.ids[:-1]]
    for before, after in zip(inputs, scored.ids, strict=True):
        found, state = step(np.array([before], "int32"), state)
        nats -= float(keras.ops.convert_to_numpy(found)[0, after])
    assert scored.total == pytest.approx(-nats, rel=1e-4)

    hypotheses = ["the cat", "the cap", "then", "a cat"]
    (listed,) = lm.score_nbest([hypotheses])
    for score, line in zip(listed, hypotheses, strict=True):
        assert score.total == pytest.approx(lm.score(line).total, rel=1e-4)

    drawn = str(lm.generate("the ", tokens=12, temperature=0.0))
    assert drawn == str(lm.generate("the ", tokens=12, temperature=0.0))
    assert len(drawn) >= 12
