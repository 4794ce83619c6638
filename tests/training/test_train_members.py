"""`train_members` end to end: each member is the run that `train` makes of its seed."""

import json
import signal
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import keras_rnnlm as krl
from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import ConfigError, FolderError, ResumeError, TrainingError
from keras_rnnlm.models.weights import weight_arrays
from keras_rnnlm.scoring.protocols import Protocol, segments
from keras_rnnlm.scoring.scorer import score_segments
from keras_rnnlm.training import final_evaluation
from keras_rnnlm.training.ensemble_run import EnsembleResult
from keras_rnnlm.training.loop import TrainingLoop
from keras_rnnlm.training.run import TrainingResult
from keras_rnnlm.training.train import train
from keras_rnnlm.training.train_members import train_members
from tests.conftest import only_on
from tests.training.test_train import Listener, rows

SMALL: dict[str, Any] = {
    "units": 8,
    "layers": 1,
    "batch_size": 4,
    "steps": 8,
    "max_steps": 40,
    "validations": 8,
    "dropout": 0.1,
    "seed": 5,
}
# Everything that a loop decides by itself: when an average begins, when the rate falls,
# when a run ends early. The high rate makes members differ in it.
OWN_WAYS: dict[str, Any] = {
    "optimizer": "sgd",
    "learning_rate": 30.0,
    "clip_norm": 0.25,
    "schedule": "plateau",
    "averaging": "nt_asgd",
    "average_patience": 1,
    "patience": 3,
    "noising": "unigram",
    "noising_rate": 0.1,
    "partial_shuffle": True,
}
# An epoch of some ten steps; members cut lanes elsewhere and begin epochs elsewhere.
VARYING: dict[str, Any] = {
    "optimizer": "sgd",
    "learning_rate": 5.0,
    "clip_norm": 0.25,
    "batch_size": 16,
    "steps_deviation": 2,
    "partial_shuffle": True,
    "max_steps": 30,
    "validations": 2,
}


@pytest.fixture(scope="module")
def corpus(english_file: Path) -> Corpus:
    return Corpus.from_files(english_file, tokenizer="char", split=(0.7, 0.15, 0.15))


@pytest.fixture(scope="module")
def run(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> EnsembleResult:
    """A finished run with what changes from member to member."""
    only_on("jax")
    folder = tmp_path_factory.mktemp("members") / "run"
    return train_members(corpus, Settings(**{**SMALL, **OWN_WAYS}), folder, 3)


@pytest.fixture(scope="module")
def varying(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> EnsembleResult:
    """Two members with windows of varying length, through several epochs."""
    only_on("jax")
    folder = tmp_path_factory.mktemp("varying") / "run"
    return train_members(corpus, Settings(**{**SMALL, **VARYING}), folder, 2)


def arrays(result: TrainingResult) -> dict[str, np.ndarray]:
    assert result.language_model is not None
    return weight_arrays(result.language_model.network)


def stopped_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a signal come just before a step, which is the last one of all members."""
    ends = TrainingLoop.on_train_batch_end
    sent: list[int] = []

    def interrupt(self: TrainingLoop, batch: int, logs: Any = None) -> None:
        if self.step == step - 2 and not sent:
            sent.append(step)
            signal.raise_signal(signal.SIGINT)  # is read after the next step
        ends(self, batch, logs)

    monkeypatch.setattr(TrainingLoop, "on_train_batch_end", interrupt)


def alone_and_together(
    run: EnsembleResult, corpus: Corpus, options: dict[str, Any], folder: Path
) -> list[TrainingResult]:
    """Return the runs of each member's seed alone, found equal to the members."""
    singles = []
    for member, result in enumerate(run.members):
        settings = Settings(**{**options, "seed": options["seed"] + member})
        alone = train(corpus, settings, folder / str(member))
        for name, array in arrays(alone).items():
            found = arrays(result)[name]
            np.testing.assert_allclose(found, array, rtol=1e-4, atol=1e-5)
        for key in ("settings", "best_step", "averaged_since", "parameters", "loops"):
            assert result.report[key] == alone.report[key]
        assert result.report["schedule"]["steps"] == alone.report["schedule"]["steps"]
        assert result.report["test"]["nats"] == pytest.approx(
            alone.report["test"]["nats"], rel=1e-5
        )
        for event, value in (("train", "loss"), ("valid", "valid_loss")):
            mine, wanted = rows(result.folder, event), rows(alone.folder, event)
            assert [row["step"] for row in mine] == [row["step"] for row in wanted]
            np.testing.assert_allclose(
                [row[value] for row in mine], [row[value] for row in wanted], rtol=1e-5
            )
        singles.append(alone)
    return singles


def test_members_are_what_they_are_alone(
    run: EnsembleResult, corpus: Corpus, tmp_path: Path
) -> None:
    singles = alone_and_together(run, corpus, {**SMALL, **OWN_WAYS}, tmp_path)
    ends = {
        (alone.report["schedule"]["steps"], alone.report["averaged_since"])
        for alone in singles
    }
    assert len(ends) > 1  # members ended, or began to average, at different steps


def test_members_with_windows_of_varying_length_are_what_they_are_alone(
    varying: EnsembleResult, corpus: Corpus, tmp_path: Path
) -> None:
    singles = alone_and_together(varying, corpus, {**SMALL, **VARYING}, tmp_path)
    assert all(alone.report["epochs"] > 2 for alone in singles)


def test_a_stopped_run_of_varying_windows_goes_on_with_the_same_ones(
    varying: EnsembleResult,
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stopped within the first pass over the text and within a later one."""
    settings = Settings(**{**SMALL, **VARYING})
    for stop in (4, 21):
        with monkeypatch.context() as patch:
            stopped_at(stop, patch)
            stopped = train_members(
                corpus, settings, tmp_path / "run", 2, resume=stop > 4
            )
            assert stopped.interrupted == 2
    resumed = train_members(corpus, settings, tmp_path / "run", 2, resume=True)
    for mine, wanted in zip(resumed.members, varying.members, strict=True):
        for name, array in arrays(wanted).items():
            np.testing.assert_array_equal(arrays(mine)[name], array)


def test_the_ensemble_is_the_mean_of_probabilities(
    run: EnsembleResult, corpus: Corpus
) -> None:
    for name, text in corpus.parts().items():
        if name == "train":
            continue
        starts, stops = segments(text, Protocol("carry"))
        each = [
            score_segments(krl.load(m.folder).network, text.ids, starts, stops).nats
            for m in run.members
        ]
        probabilities = np.mean([np.exp(-nats.astype("float64")) for nats in each], 0)
        figures = run.report[name]
        assert figures["protocol"] == "carry"
        assert figures["nats"] == pytest.approx(-np.log(probabilities).sum(), rel=1e-6)
        alone = [member.report[name]["nats"] for member in run.members]
        assert figures["nats"] < np.mean(alone)  # by Jensen's inequality
    listed = run.report["members"]
    assert [m["folder"] for m in listed] == ["member-1", "member-2", "member-3"]
    assert [m["seed"] for m in listed] == [5, 6, 7]
    card = (run.folder / "README.md").read_text()
    assert "member-3" in card and f"{run.report['test']['perplexity']:.2f}" in card
    report = json.loads((run.folder / "report.json").read_text())
    assert report == run.report


def test_an_ensemble_is_no_model_folder(run: EnsembleResult) -> None:
    with pytest.raises(FolderError, match=r"ensemble of 3 models.*member-1"):
        krl.load(run.folder)


def test_a_finished_run_is_left_alone(run: EnsembleResult, corpus: Corpus) -> None:
    listener = Listener()
    settings = Settings(**{**SMALL, **OWN_WAYS})
    again = train_members(
        corpus, settings, run.folder, 3, resume=True, reporter=listener
    )
    assert again.report == run.report and "nothing to do" in listener.notes[0]
    with pytest.raises(FolderError, match="exists already"):
        train_members(corpus, settings, run.folder, 3)
    with pytest.raises(ResumeError, match="has 3 members"):
        train_members(corpus, settings, run.folder, 2, resume=True)
    with pytest.raises(ResumeError, match="--members 3"):
        train(corpus, settings, run.folder, resume=True)
    with pytest.raises(ResumeError, match="of one model"):
        train_members(corpus, settings, run.members[0].folder, 3, resume=True)


def test_a_stopped_run_goes_on_to_the_very_same_end(
    run: EnsembleResult,
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before and after members have ended, or begun to average, by themselves."""
    settings = Settings(**{**SMALL, **OWN_WAYS})
    longest = run.report["schedule"]["steps"]
    for number, stop in enumerate((7, longest - 2)):
        with monkeypatch.context() as patch:
            stopped_at(stop, patch)
            stopped = train_members(
                corpus, settings, tmp_path / "run", 3, resume=number > 0
            )
        assert (stopped.interrupted, stopped.members) == (2, ())
        assert not (tmp_path / "run" / "report.json").exists()
    with pytest.raises(FolderError, match="ensemble"):
        krl.load(tmp_path / "run")
    listener = Listener()
    resumed = train_members(
        corpus, settings, tmp_path / "run", 3, resume=True, reporter=listener
    )
    assert listener.summary["resumed_at"] == longest - 2
    for mine, wanted in zip(resumed.members, run.members, strict=True):
        for name, array in arrays(wanted).items():
            np.testing.assert_array_equal(arrays(mine)[name], array)
        for event in ("train", "valid"):
            for a, b in zip(
                rows(mine.folder, event), rows(wanted.folder, event), strict=True
            ):
                drop = ("seconds", "tokens_per_second")
                assert {k: v for k, v in a.items() if k not in drop} == {
                    k: v for k, v in b.items() if k not in drop
                }
    assert not (resumed.folder / "checkpoint.safetensors").exists()


def test_a_time_budget_is_that_of_all_members(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_on("jax")
    monkeypatch.setattr(final_evaluation, "_WRITING", 0.0)
    listener = Listener()
    changes = {"max_steps": None, "minutes": 0.15, "validations": 2, "average": 0.9}
    settings = Settings(**{**SMALL, **changes})
    result = train_members(corpus, settings, tmp_path / "run", 2, reporter=listener)
    steps = {member.report["schedule"]["steps"] for member in result.members}
    assert steps == {result.report["schedule"]["steps"]}
    assert {m.report["averaged_since"] for m in result.members} == {0}
    # Means over members, and each by itself.
    assert listener.validations
    assert any("one by one" in note for note in listener.notes)


def test_a_member_that_diverges_is_named(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_on("jax")
    settings = Settings(**{**SMALL, "optimizer": "sgd", "clip_norm": 0.0})
    from keras_rnnlm.training import member_loop

    set_up = member_loop.MemberLoop.__init__

    def poisoned(self: Any, members: Any, index: int, *rest: Any, **more: Any) -> None:
        set_up(self, members, index, *rest, **more)
        if index == 1:
            own = self.set_learning_rate
            self.set_learning_rate = lambda rate: own(float("inf"))

    monkeypatch.setattr(member_loop.MemberLoop, "__init__", poisoned)
    with pytest.raises(TrainingError, match="of member 2 is not a number"):
        train_members(corpus, settings, tmp_path / "run", 2)


@pytest.mark.parametrize(
    ("changes", "members", "message"),
    [
        ({}, 1, "2 members or more"),
        ({"mode": "sentence"}, 2, "mode = sentence"),
        ({"optimizer": "adan"}, 2, "Did you mean 'adam'"),
        ({"units": 10**7}, 2, "GB of memory"),
    ],
)
def test_settings_that_members_cannot_share(
    corpus: Corpus,
    tmp_path: Path,
    changes: dict[str, Any],
    members: int,
    message: str,
) -> None:
    only_on("jax")
    with pytest.raises(ConfigError, match=message):
        train_members(corpus, Settings(**{**SMALL, **changes}), tmp_path / "r", members)
    assert not (tmp_path / "r").exists()


def test_other_backends_are_refused_in_a_sentence(
    corpus: Corpus, tmp_path: Path
) -> None:
    only_on("tensorflow", "torch")
    with pytest.raises(ConfigError, match=f"needs JAX.*{keras.backend.backend()}"):
        train_members(corpus, Settings(**SMALL), tmp_path / "run", 2)
    assert not (tmp_path / "run").exists()
