"""Runs with everything that keeps state, stopped and resumed, end bit-equal."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.models.weights import weight_arrays
from keras_rnnlm.training.loop import TrainingLoop
from keras_rnnlm.training.run import TrainingResult
from keras_rnnlm.training.train import train

SMALL: dict[str, Any] = {
    "units": 8,
    "layers": 1,
    "batch_size": 4,
    "steps": 8,
    "max_steps": 40,
    "validations": 8,
    "dropout": 0.1,
}
CASES: dict[str, dict[str, Any]] = {
    "windows": {
        "averaging": "swa",
        "average_start": 0.3,
        "steps_deviation": 2,
        "partial_shuffle": True,
        "state_reset": 0.1,
        "noising": "bigram",
        "noising_rate": 0.3,
        "schedule": "warm_restarts",
        "activation_penalty": 2.0,
        "temporal_penalty": 1.0,
        "output_dropout": 0.3,
        "weight_dropout": 0.3,
    },
    "triggered": {
        "averaging": "nt_asgd",
        "average_patience": 1,
        "optimizer": "sgd",
        "learning_rate": 60.0,
        "schedule": "plateau",
        "clip_norm": 0.25,
    },
    "finetuned": {
        "average": 0.9,
        "finetune": 0.4,
        "optimizer": "muon",
        "beta_1": 0.0,
        "noising": "blank",
        "noising_rate": 0.2,
    },
}


@pytest.fixture(scope="module")
def corpus(english_file: Path) -> Corpus:
    return Corpus.from_files(english_file, tokenizer="char", split=(0.7, 0.15, 0.15))


def stopped_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = TrainingLoop.on_train_batch_end

    def interrupt(self: TrainingLoop, batch: int, logs: Any = None) -> None:
        if self.step == step - 1:
            self.flag.number = 2
        ends(self, batch, logs)

    monkeypatch.setattr(TrainingLoop, "on_train_batch_end", interrupt)


def same(one: TrainingResult, two: TrainingResult) -> bool:
    assert one.language_model is not None and two.language_model is not None
    wanted = weight_arrays(one.language_model.network)
    found = weight_arrays(two.language_model.network)
    return all(np.array_equal(found[name], array) for name, array in wanted.items())


@pytest.mark.parametrize("case", CASES)
def test_a_stopped_run_goes_on_to_the_very_same_end(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    settings = Settings(**{**SMALL, **CASES[case]})
    whole = train(corpus, settings, tmp_path / "whole")
    # After averaging or fine-tuning has begun, and in a validation's step; once before.
    stops = (7, 30) if case == "windows" else (30,)
    for stop in stops:
        with monkeypatch.context() as patch:
            stopped_at(stop, patch)
            assert train(
                corpus, settings, tmp_path / "run", resume=stop > stops[0]
            ).interrupted
    resumed = train(corpus, settings, tmp_path / "run", resume=True)
    assert same(whole, resumed)
    since = whole.report["averaged_since"]
    assert resumed.report["averaged_since"] == since
    if case == "windows":
        assert since == 12
    elif case == "triggered":
        assert since is not None and since % 5 == 0
    else:
        assert since == whole.report["finetuned_since"] == 24


def test_fine_tuning_begins_from_the_best_weights(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a rate of next to nothing in the second phase they are what is kept."""
    settings = Settings(
        **SMALL, finetune=0.5, finetune_learning_rate=1e-12, learning_rate=0.01
    )
    seen: dict[str, Any] = {}
    finetune = TrainingLoop._finetune

    def watched(self: TrainingLoop) -> None:
        seen.update(self.best)
        seen["step"] = self.best_step
        for variable in self.model.optimizer.variables[2:]:
            seen["gathered"] = seen.get("gathered", 0) + np.abs(variable).sum()
        finetune(self)
        for variable in self.model.optimizer.variables[2:]:
            assert np.abs(np.asarray(variable)).sum() == 0
        assert int(self.model.optimizer.iterations) == 0

    monkeypatch.setattr(TrainingLoop, "_finetune", watched)
    result = train(corpus, settings, tmp_path / "run")
    assert result.language_model is not None
    assert result.report["finetuned_since"] == 20
    assert seen["gathered"] > 0
    for name, array in weight_arrays(result.language_model.network).items():
        np.testing.assert_allclose(array, seen[name], atol=1e-6)
