"""`train` end to end on a small text."""

import json
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import keras_rnnlm as krl
from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.streams import StreamBatches
from keras_rnnlm.errors import ConfigError, FolderError, ResumeError, TrainingError
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.weights import weight_arrays
from keras_rnnlm.training.final_evaluation import FinalEvaluation
from keras_rnnlm.training.identity import check_identity
from keras_rnnlm.training.loop import TrainingLoop
from keras_rnnlm.training.model_card import model_card
from keras_rnnlm.training.run import TrainingResult
from keras_rnnlm.training.run_folder import RunFolder
from keras_rnnlm.training.train import check_replay, schedule_of, train
from keras_rnnlm.training.validation import Validator

SMALL: dict[str, Any] = {
    "units": 12,
    "layers": 1,
    "batch_size": 4,
    "steps": 8,
    "max_steps": 60,
    "validations": 3,
    "dropout": 0.1,
}


@pytest.fixture(scope="module")
def corpus(english_file: Path) -> Corpus:
    return Corpus.from_files(english_file, tokenizer="char", split=(0.7, 0.15, 0.15))


class Listener:
    """Remembers what training tells."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.validations: list[tuple[int, float]] = []
        self.rates: list[float] = []

    def start(self, summary: dict[str, Any]) -> None:
        self.summary = summary

    def step(self, *event: Any) -> None:
        self.rates.append(event[-1])

    def validation(self, step: int, nats: float, perplexity: float, best: bool) -> None:
        self.validations.append((step, nats))

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def finish(self, report: dict[str, Any]) -> None:
        self.report = report


@pytest.fixture(scope="module")
def plain(
    corpus: Corpus, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainingResult, Listener]:
    """A finished run with `SMALL`, and what it told; do not write to its folder."""
    listener, folder = Listener(), tmp_path_factory.mktemp("plain") / "run"
    return train(corpus, Settings(**SMALL), folder, reporter=listener), listener


def rows(folder: Path, event: str) -> list[dict[str, Any]]:
    lines = (folder / "training.jsonl").read_text().splitlines()
    return [row for line in lines if (row := json.loads(line))["event"] == event]


@pytest.mark.parametrize(
    "options",
    [
        {"output": "adaptive", "tie_weights": False, "output_cutoffs": (9, 20)},
        {"output": "sampled", "output_samples": 30, "average": 0.9},
    ],
)
def test_outputs_for_large_vocabularies(
    corpus: Corpus, tmp_path: Path, options: dict[str, Any]
) -> None:
    settings = Settings(**SMALL, **options)
    listener = Listener()
    result = train(corpus, settings, tmp_path / "m", reporter=listener)
    model = result.language_model
    assert model is not None
    assert listener.validations[-1][1] < listener.validations[0][1]
    counts = np.bincount(corpus.train.ids, minlength=corpus.vocabulary_size)
    order = keras.ops.convert_to_numpy(model.network.output_layer.order)
    assert (np.diff(counts[order[1]]) <= 0).all()
    assert result.report["output_loop"] == listener.summary["output_loop"]
    again = train(corpus, settings, tmp_path / "m", resume=True)  # a no-op
    assert again.report["settings"] == result.report["settings"]
    found = krl.load(tmp_path / "m").evaluate(corpus.test)
    assert found.nats == pytest.approx(result.report["test"]["nats"], rel=1e-6)


def test_a_run_leaves_a_whole_model_folder(
    corpus: Corpus, plain: tuple[TrainingResult, Listener]
) -> None:
    result, listener = plain
    assert {p.name for p in result.folder.iterdir()} == {
        ".lock",
        "README.md",
        "config.json",
        "curve.png",
        "manifest.json",
        "model.safetensors",
        "report.json",
        "tokenizer.json",
        "training.jsonl",
    }
    report = json.loads((result.folder / "report.json").read_text())
    assert report == result.report == listener.report
    assert report["command"] is None  # that is for the command line
    assert report["test"]["tokens"] == corpus.test.counts.tokens_predicted
    assert report["schedule"] == {
        "steps": 60,
        "knots": [],
        "validated": [20, 40, 60],
    }
    assert [step for step, _ in listener.validations] == [20, 40, 60]
    assert report["valid_estimate"] == min(n for _, n in listener.validations)
    assert [r["step"] for r in rows(result.folder, "train")] == [50, 60]
    again = krl.load(result.folder).evaluate(corpus.test)
    assert again.nats == pytest.approx(report["test"]["nats"], rel=1e-9)


def test_training_equals_fit(corpus: Corpus, tmp_path: Path) -> None:
    settings = Settings(
        **{**SMALL, "schedule": "constant", "warmup": 0.0, "clip_norm": 0.0, "seed": 5}
    )
    result = train(corpus, settings, tmp_path / "run")
    network = RNNLM(corpus.vocabulary_size, units=12, layers=1, dropout=0.1, seed=5)
    network.compile(keras.optimizers.Adam(settings.learning_rate))
    batches = StreamBatches(corpus.train, 4, 8, seed=5, endless=True)
    network.fit(batches, steps_per_epoch=60, verbose=0)
    assert result.language_model is not None
    trained = weight_arrays(result.language_model.network)
    for name, array in weight_arrays(network).items():
        np.testing.assert_allclose(trained[name], array, rtol=2e-5, atol=2e-6)


@pytest.fixture
def steady_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock of runs that goes on by a twentieth of a second each time it is read."""

    def clock(spent: float, started: float) -> Callable[[], float]:
        ticks = count(1)
        return lambda: spent + 0.05 * next(ticks)

    monkeypatch.setattr("keras_rnnlm.training.run.wall_clock", clock)
    monkeypatch.setattr(FinalEvaluation, "estimated_seconds", lambda *_: 1.0)


@pytest.mark.once
def test_validations_that_would_take_all_of_the_time_leave_half_of_it(
    corpus: Corpus,
    tmp_path: Path,
    steady_clock: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = {}
    for seconds in (0.0, 5.0):
        monkeypatch.setattr(
            Validator, "estimated_seconds", lambda *_, each=seconds: each
        )
        changed = {"max_steps": None, "minutes": 0.3, "validations": 10}
        settings = Settings(**{**SMALL, **changed})
        report = train(corpus, settings, tmp_path / f"{seconds}").report
        steps[seconds] = report["schedule"]["steps"]
    assert steps[5.0] > 0.25 * steps[0.0]


@pytest.mark.slow
def test_a_replayed_time_budget_is_bit_equal(
    corpus: Corpus, tmp_path: Path, steady_clock: None
) -> None:
    settings = Settings(**{**SMALL, "max_steps": None, "minutes": 0.3})
    one = train(corpus, settings, tmp_path / "one")
    assert len(one.report["schedule"]["knots"]) > 1
    settings, schedule = schedule_of(one.report)
    two = train(corpus, settings, tmp_path / "two", schedule=schedule)
    assert one.language_model is not None and two.language_model is not None
    expected = weight_arrays(one.language_model.network)
    for name, array in weight_arrays(two.language_model.network).items():
        np.testing.assert_array_equal(array, expected[name])


@pytest.mark.once
def test_a_time_budget_ends_with_its_schedule(
    corpus: Corpus, tmp_path: Path, steady_clock: None
) -> None:
    settings = Settings(**{**SMALL, "max_steps": None, "minutes": 0.3})
    result = train(corpus, settings, tmp_path / "run")
    steps, knots = (result.report["schedule"][k] for k in ("steps", "knots"))
    step, progress, rate = knots[-1]
    assert progress + rate * (steps - step) > 0.95
    assert 15 < result.report["seconds"] <= 19
    # No step is begun after the deadline.
    times = [row["seconds"] for row in rows(tmp_path / "run", "train")]
    assert sum(seconds > 17 for seconds in times) <= 1


@pytest.mark.once
def test_resuming_a_finished_run_does_nothing(
    corpus: Corpus, plain: tuple[TrainingResult, Listener]
) -> None:
    first, _ = plain
    folder, weights = first.folder, first.folder / "model.safetensors"
    stamp = weights.stat().st_mtime_ns
    listener = Listener()
    again = train(corpus, Settings(**SMALL), folder, resume=True, reporter=listener)
    assert again.report == first.report
    assert "has finished" in listener.notes[0]
    assert weights.stat().st_mtime_ns == stamp
    with pytest.raises(ResumeError, match="units=12; this command asks for units=13"):
        train(corpus, Settings(**{**SMALL, "units": 13}), folder, resume=True)
    other = Corpus.from_texts(["some other text", "of two lines"], tokenizer="char")
    with pytest.raises(ResumeError, match="other text"):
        train(other, Settings(**SMALL), folder, resume=True)


def test_an_existing_folder_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious").write_text("mine")
    with pytest.raises(FolderError, match="exists already"):
        train(corpus, Settings(**SMALL), tmp_path / "run")
    assert (tmp_path / "run" / "precious").read_text() == "mine"


def test_a_second_writer_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    first = RunFolder(tmp_path / "run", resume=False)
    with pytest.raises(FolderError, match="Another process"):
        train(corpus, Settings(**SMALL), tmp_path / "run", resume=True)
    first.close()


@pytest.mark.once
def test_resuming_without_a_checkpoint_starts_over(
    corpus: Corpus, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "training.jsonl").write_text('{"event": "train"}\n')
    listener = Listener()
    settings = Settings(**{**SMALL, "max_steps": 10})
    train(corpus, settings, tmp_path / "run", resume=True, reporter=listener)
    assert "starts over" in listener.notes[0]
    assert [r["step"] for r in rows(tmp_path / "run", "train")] == [10]


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(
    corpus: Corpus, tmp_path: Path
) -> None:
    settings = Settings(
        **{**SMALL, "optimizer": "sgd", "learning_rate": 1e38, "clip_norm": 0.0}
    )
    with pytest.raises(TrainingError, match=r"not a number at step \d+.*learning_rate"):
        train(corpus, settings, tmp_path / "run")


@pytest.mark.once
def test_early_stopping(corpus: Corpus, tmp_path: Path) -> None:
    settings = Settings(
        **{**SMALL, "learning_rate": 1e-12, "patience": 2, "validations": 30}
    )
    listener, again = Listener(), Listener()
    result = train(corpus, settings, tmp_path / "run", reporter=listener)
    # The rate is so small that no validation after some first ones can be better.
    assert any("Stopped early" in note for note in listener.notes)
    assert len(listener.validations) < 30
    # A replay has the rates and validations of the run that was planned.
    assert result.report["schedule"]["planned"] == 60
    same, schedule = schedule_of(result.report)
    assert schedule["protocol"] == result.report["valid"]["protocol"] == "carry"
    schedule["protocol"] = "lanes:2"
    two = train(corpus, same, tmp_path / "two", schedule=schedule, reporter=again)
    assert two.report["valid"]["protocol"] == "lanes:2"
    assert again.validations == listener.validations


@pytest.mark.once
def test_patience_does_not_end_a_run_before_it_is_fine_tuned(
    corpus: Corpus, tmp_path: Path
) -> None:
    # Weights stay as they are, so that no validation is better than the first.
    changes: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 1e-30}
    changes |= {"max_steps": 8, "validations": 8, "patience": 1, "finetune": 0.5}
    settings = Settings(**{**SMALL, **changes})
    report = train(corpus, settings, tmp_path / "run").report
    assert report["finetuned_since"] == 4
    assert 4 < report["schedule"]["steps"] < 8


@pytest.mark.once
def test_a_replay_is_of_the_same_text(
    corpus: Corpus, plain: tuple[TrainingResult, Listener]
) -> None:
    report = plain[0].report
    check_replay(report, corpus)
    other = Corpus.from_texts(["some other text", "of two lines"], tokenizer="char")
    with pytest.raises(ResumeError, match="had other text"):
        check_replay(report, other)
    with pytest.raises(ResumeError, match="adapted another model"):
        schedule_of({**report, "adaptation": {"replay": 0.5}})


def test_a_replay_that_an_older_version_began_goes_on() -> None:
    """Its schedule has no protocol."""
    wanted: dict[str, Any] = {
        "settings": Settings().to_dict(),
        **dict.fromkeys(("data", "tokenizer", "vocabulary_size", "vocabulary")),
        "schedule": {"steps": 3, "protocol": "carry"},
    }
    check_identity({**wanted, "schedule": {"steps": 3}}, wanted, "run")
    for other in ({"steps": 4}, {"steps": 3, "protocol": "lanes:2"}, None):
        with pytest.raises(ResumeError, match="its schedule differs"):
            check_identity({**wanted, "schedule": other}, wanted, "run")


@pytest.mark.once
def test_a_run_that_was_killed_as_it_wrote_its_folder_goes_on(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("keras_rnnlm.models.folder.write_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            train(corpus, Settings(**SMALL), tmp_path / "run")
    assert (tmp_path / "run" / "report.json").exists()
    result = train(corpus, Settings(**SMALL), tmp_path / "run", resume=True)
    assert result.language_model is not None
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert all((tmp_path / "run" / name).is_file() for name in manifest["sha256"])
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_lines_alone_are_validated_as_they_are_evaluated(
    corpus: Corpus, tmp_path: Path
) -> None:
    settings = Settings(**{**SMALL, "mode": "sentence", "max_steps": 20})
    report = train(corpus, settings, tmp_path / "run").report
    assert report["valid"]["protocol"] == "sentence"
    assert report["valid_estimate"] == pytest.approx(report["valid"]["loss"], rel=1e-5)


def test_the_only_validation_has_its_time(corpus: Corpus) -> None:
    assert corpus.valid is not None
    network = RNNLM(corpus.vocabulary_size, units=12, layers=1)
    assert 0 < Validator(corpus.valid).estimated_seconds(network) < 60


def test_averaged_weights_are_kept_and_differ(
    corpus: Corpus, plain: tuple[TrainingResult, Listener], tmp_path: Path
) -> None:
    without, _ = plain
    averaged = train(corpus, Settings(**SMALL, average=0.9), tmp_path / "averaged")
    assert without.language_model is not None and averaged.language_model is not None
    one = weight_arrays(without.language_model.network)["embedding.weight"]
    two = weight_arrays(averaged.language_model.network)["embedding.weight"]
    assert 1e-6 < np.abs(one - two).max() < 0.1


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "sentence"},
        {"cell": "gru", "precision": "mixed_bfloat16"},
        {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.1},
        {"optimizer": "adamw", "weight_decay": 0.01, "tie_weights": False},
    ],
)
def test_settings_that_must_work(
    corpus: Corpus, tmp_path: Path, changes: dict[str, Any]
) -> None:
    settings = Settings(**{**SMALL, **changes, "max_steps": 30})
    report = train(corpus, settings, tmp_path / "run").report
    assert report["test"]["perplexity"] < corpus.vocabulary_size


def test_two_lines_train(tmp_path: Path) -> None:
    corpus = Corpus.from_texts(["the cat sat", "the dog sat"], tokenizer="word")
    listener = Listener()
    settings = Settings(**{**SMALL, "max_steps": 20, "batch_size": 20, "steps": 35})
    result = train(corpus, settings, tmp_path / "run", reporter=listener)
    assert result.report["valid"] is None
    assert listener.notes  # lanes and steps shrank, and it says so


def test_settings_that_cannot_be(corpus: Corpus, tmp_path: Path) -> None:
    for changes, message in (
        ({"optimizer": "adan"}, "Did you mean 'adam'"),
        ({"optimizer": "adam", "momentum": 0.5}, "has no 'momentum'"),
        ({"units": 10**7}, "GB of memory"),
        ({"protocol": "widow:3"}, "window"),
    ):
        with pytest.raises(ConfigError, match=message):
            train(corpus, Settings(**{**SMALL, **changes}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_signal_is_read_between_steps_and_the_run_goes_on_later(
    corpus: Corpus,
    plain: tuple[TrainingResult, Listener],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected, _ = plain
    ends = TrainingLoop.on_train_batch_end

    def interrupt(self: TrainingLoop, batch: int, logs: Any = None) -> None:
        if self.step == 33:
            self.flag.number = 2
        ends(self, batch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingLoop, "on_train_batch_end", interrupt)
        stopped = train(corpus, Settings(**SMALL), tmp_path / "run")
    assert (stopped.interrupted, stopped.language_model) == (2, None)
    assert not (tmp_path / "run" / "report.json").exists()
    resumed = train(corpus, Settings(**SMALL), tmp_path / "run", resume=True)
    assert resumed.language_model is not None and expected.language_model is not None
    one, two = (rows(each.folder, "train") for each in (expected, resumed))
    assert [row["loss"] for row in one] == [row["loss"] for row in two]
    whole = weight_arrays(expected.language_model.network)
    for name, array in weight_arrays(resumed.language_model.network).items():
        np.testing.assert_array_equal(array, whole[name])


@pytest.mark.once
def test_a_resumed_run_that_diverges_knows_of_its_checkpoint(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = TrainingLoop.on_train_batch_end

    def interrupt(self: TrainingLoop, batch: int, logs: Any = None) -> None:
        self.flag.number = 2
        ends(self, batch, logs)

    def diverged(self: TrainingLoop, loss: Any, step: int) -> None:
        raise self._not_a_number("loss", step)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingLoop, "on_train_batch_end", interrupt)
        assert train(corpus, Settings(**SMALL), tmp_path / "run").interrupted == 2
    monkeypatch.setattr(TrainingLoop, "_check_loss", diverged)
    with pytest.raises(TrainingError, match="The checkpoint of step 1 is kept in"):
        train(corpus, Settings(**SMALL), tmp_path / "run", resume=True)


@pytest.mark.once
def test_the_folder_of_something_else_is_not_gone_on_with(
    corpus: Corpus, tmp_path: Path
) -> None:
    """Such as that of a search, which has a `report.json` too."""
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "report.json").write_text('{"trials": []}')
    with pytest.raises(FolderError, match="is not the report of a training run"):
        train(corpus, Settings(**SMALL), tmp_path / "search", resume=True)


@pytest.mark.skipif(os.name == "nt", reason="locks are tested on POSIX")
def test_the_lock_is_freed_when_a_run_ends(corpus: Corpus, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", resume=False)
    folder.close()
    RunFolder(tmp_path / "run", resume=True).close()


@pytest.mark.once
def test_a_diverged_model_has_a_card_all_the_same(
    corpus: Corpus, tmp_path: Path
) -> None:
    report = train(corpus, Settings(**{**SMALL, "max_steps": 5}), tmp_path / "run")
    figures = {**report.report["test"], "perplexity": None, "word_perplexity": None}
    assert "| - | - |" in model_card({**report.report, "test": figures})
