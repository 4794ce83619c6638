"""`adapt` end to end: from a small model of one text to another text."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import keras_rnnlm as krl
from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.store import encode_texts
from keras_rnnlm.errors import ConfigError, InputError, ResumeError
from keras_rnnlm.models.weights import weight_arrays
from keras_rnnlm.training.adapt import Base, adapt
from keras_rnnlm.training.adaptation import Adaptation, passes
from keras_rnnlm.training.reporter import SilentReporter
from keras_rnnlm.training.run import TrainingResult
from keras_rnnlm.training.train import train

OLD = ["the cat sat on the mat", "a dog sat on the log", "the dog ran to the cat"] * 30
NEW = ["the gnu lay by the log", "a yak lay by the mat"] * 12
QUICK = {"max_steps": 12, "batch_size": 4, "steps": 6, "validations": 2}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    corpus = Corpus.from_texts(OLD, valid=OLD[:6], tokenizer="word", minimum_count=31)
    settings = Settings(
        units=12, layers=2, batch_size=4, steps=8, max_steps=60, validations=1
    )
    folder = tmp_path_factory.mktemp("adapt") / "base"
    train(corpus, settings, folder)
    return Base.load(folder)


class Summary(SilentReporter):
    """Remembers what it is told at the start."""

    def start(self, summary: dict[str, Any]) -> None:
        self.summary = summary


def texts(base: Base, new_words: int | None = None) -> Corpus:
    return Corpus.from_texts(
        NEW, valid=NEW[:4], tokenizer=base.tokenizer, new_words=new_words
    )


def test_it_learns_the_new_text_and_leaves_the_old_model_alone(
    base: Base, tmp_path: Path
) -> None:
    before = weight_arrays(base.network)
    corpus = texts(base, new_words=2)
    old = Corpus.from_texts(OLD, tokenizer=corpus.tokenizer).train
    settings = base.settings("adapt", {**QUICK, "max_steps": 60, "learning_rate": 0.02})
    adaptation = Adaptation(new_words=2, replay=0.5)
    result = adapt(
        base, corpus, settings, tmp_path / "a", adaptation, old=old, old_valid=old
    )
    for name, array in weight_arrays(base.network).items():
        np.testing.assert_array_equal(array, before[name])
    found = result.report["adaptation"]
    assert found["words_added"] == 7  # log and mat, seen too seldom, and five others
    assert found["base"] == "base"
    assert result.report["valid"]["loss"] < found["before"]["valid"]["loss"] - 0.5
    assert found["old_after"]["loss"] < found["old_before"]["loss"] + 1
    again = krl.load(tmp_path / "a")
    assert again.tokenizer.tokens == corpus.tokenizer.tokens
    figures = again.evaluate(corpus.valid).to_dict()
    assert figures["nats"] == pytest.approx(result.report["valid"]["nats"], rel=1e-6)
    report = json.loads((tmp_path / "a" / "report.json").read_text())
    assert report["adaptation"]["before"] == found["before"]


@pytest.mark.once
def test_the_figures_before_are_those_of_the_model(base: Base, tmp_path: Path) -> None:
    corpus = texts(base)
    settings = base.settings("adapt", QUICK)
    report = adapt(base, corpus, settings, tmp_path / "a").report
    plain = krl.load(base.folder).evaluate(corpus.valid)
    before = report["adaptation"]["before"]["valid"]
    assert before["nats"] == pytest.approx(plain.nats, rel=1e-6)
    assert before["oov"] == plain.oov > 0
    assert report["adaptation"]["train_text_after"] is None


@pytest.fixture(scope="module")
def free(base: Base, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """An adaptation in which all weights learn alike."""
    folder = tmp_path_factory.mktemp("free") / "run"
    return adapt(base, texts(base), base.settings("adapt", QUICK), folder)


@pytest.mark.parametrize(
    ("options", "fixed"),
    [
        ({"low_rank": 2}, "recurrent.0.kernel"),
        ({"layer_rate": 0.0}, "recurrent.1.recurrent_kernel"),
        ({"unfreeze": 0.9}, None),
        ({"decay": 5.0, "layer_rate": 0.5}, None),
    ],
)
def test_what_learns(
    base: Base,
    free: TrainingResult,
    tmp_path: Path,
    options: dict[str, Any],
    fixed: str | None,
) -> None:
    corpus, settings = texts(base), base.settings("adapt", QUICK)
    first = weight_arrays(base.network)
    held = adapt(base, corpus, settings, tmp_path / "held", Adaptation(**options))
    assert free.language_model is not None and held.language_model is not None
    moved = [
        sum(
            float(np.square(array - first[name]).sum())
            for name, array in weight_arrays(result.language_model.network).items()
            if name.startswith("recurrent")
        )
        for result in (free, held)
        if result.language_model is not None
    ]
    assert moved[1] < moved[0]
    last = weight_arrays(held.language_model.network)
    if fixed is not None and "low_rank" not in options:
        np.testing.assert_array_equal(last[fixed], first[fixed])
    if "low_rank" in options:
        assert fixed is not None
        assert set(last) == set(first)
        assert np.linalg.matrix_rank(last[fixed] - first[fixed], tol=1e-5) <= 2


@pytest.mark.once
def test_an_interrupted_adaptation_resumes_to_the_same_weights(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = texts(base, new_words=2)
    old = Corpus.from_texts(OLD, tokenizer=corpus.tokenizer).train
    settings = base.settings("adapt", QUICK)
    how = Adaptation(
        new_words=2, replay=0.4, decay=0.3, layer_rate=0.7, unfreeze=0.5, low_rank=2
    )
    whole = adapt(base, corpus, settings, tmp_path / "whole", how, old=old)

    from keras_rnnlm.training.loop import TrainingLoop

    after = TrainingLoop.on_train_batch_end

    def interrupt(self: TrainingLoop, batch: int, logs: Any = None) -> None:
        if self.step == 5:
            self.flag.number = 2
        after(self, batch, logs)

    monkeypatch.setattr(TrainingLoop, "on_train_batch_end", interrupt)
    stopped = adapt(base, corpus, settings, tmp_path / "cut", how, old=old)
    assert stopped.interrupted == 2
    monkeypatch.undo()
    other = replace(how, decay=0.2)
    with pytest.raises(ResumeError, match="its adaptation differs"):
        adapt(base, corpus, settings, tmp_path / "cut", other, old=old, resume=True)
    resumed = adapt(base, corpus, settings, tmp_path / "cut", how, old=old, resume=True)
    assert whole.language_model is not None and resumed.language_model is not None
    expected = weight_arrays(whole.language_model.network)
    for name, array in weight_arrays(resumed.language_model.network).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


@pytest.mark.once
def test_one_line_is_enough(base: Base, tmp_path: Path) -> None:
    corpus = Corpus.from_texts(NEW[:1], tokenizer=base.tokenizer)
    settings = base.settings("adapt", {"epochs": 2})
    result = adapt(base, corpus, settings, tmp_path / "a")
    assert result.report["schedule"]["steps"] >= 2
    assert result.report["valid"] is None
    # There is no other text to see what came of it.
    found = result.report["adaptation"]
    for name, folder in (("before", base.folder), ("after", tmp_path / "a")):
        nats = krl.load(folder).evaluate(corpus.train).nats
        assert found[f"train_text_{name}"]["nats"] == pytest.approx(nats, rel=1e-6)


@pytest.mark.once
def test_a_budget_that_is_given_beats_the_recipe_s(base: Base, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text("minutes = 5\n")
    assert base.settings(recipe).minutes == 5
    steps = base.settings(recipe, ["max_steps=7"])
    epochs = base.settings(recipe, ["epochs=7"])
    assert (steps.max_steps, steps.minutes) == (7, None)
    assert (epochs.epochs, epochs.minutes) == (7, None)


@pytest.mark.once
def test_what_is_evaluated_by_lines_is_trained_by_lines(
    base: Base, tmp_path: Path
) -> None:
    lines = replace(base, protocol="sentence")
    assert base.settings("adapt").mode == "stream"
    assert lines.settings("adapt").mode == "sentence"
    assert lines.settings("adapt", {"mode": "stream"}).mode == "stream"
    assert lines.settings("adapt", {"state_reset": 0.1}).mode == "stream"
    assert lines.settings("adapt", {"protocol": "carry"}).mode == "stream"
    assert lines.settings("adapt", replay=True).mode == "stream"
    assert lines.settings("char").mode == "sentence"  # though it resets states
    assert base.settings("char").state_reset == 0.05
    result = adapt(lines, texts(base), lines.settings("adapt", QUICK), tmp_path / "a")
    assert result.report["settings"]["mode"] == "sentence"
    assert result.report["valid"]["protocol"] == "sentence"


def test_a_page_is_read_more_often_than_a_book() -> None:
    settings = Settings(batch_size=16, steps=32)
    counts = [passes(settings, tokens, 1) for tokens in (10, 10_000, 20_000, 10**6)]
    assert counts == [40, 22, 11, 10]
    settings = settings.replace(mode="sentence")
    counts = [passes(settings, 10**6, lines) for lines in (1, 16 * 20, 16 * 40, 10**6)]
    assert counts == [40, 20, 10, 10]


def test_a_network_keeps_its_shape(base: Base) -> None:
    with pytest.raises(ConfigError, match="'units' is 12 .* units=13"):
        base.settings("adapt", {"units": 13})
    settings = base.settings("ptb-10min", {"dropout": 0.4, "minutes": None})
    assert (settings.units, settings.dropout, settings.optimizer) == (12, 0.4, "sgd")
    assert (settings.output, settings.tie_weights) == ("full", True)


def test_what_cannot_go_together(base: Base, tmp_path: Path) -> None:
    corpus, settings = texts(base), base.settings("adapt", QUICK)
    with pytest.raises(ConfigError, match="Give it \\(--old TEXT\\)"):
        adapt(base, corpus, settings, tmp_path / "a", Adaptation(replay=0.5))
    other = Corpus.from_texts(NEW, tokenizer="word")
    with pytest.raises(InputError, match="another vocabulary"):
        adapt(base, other, settings, tmp_path / "a")
    short = Corpus.from_texts(["a cat"], tokenizer=base.tokenizer).train
    with pytest.raises(InputError, match="old text of more than"):
        adapt(base, corpus, settings, tmp_path / "b", Adaptation(replay=0.5), old=short)
    for name, value in (("replay", 1.0), ("decay", -1.0), ("layer_rate", 1.5)):
        with pytest.raises(ConfigError, match=name):
            Adaptation(**{name: value})
    assert not (tmp_path / "a").exists()


@pytest.mark.once
def test_the_lanes_are_as_many_as_were_asked_for(base: Base, tmp_path: Path) -> None:
    corpus = texts(base)
    old = Corpus.from_texts(OLD * 4, tokenizer=base.tokenizer).train
    settings = base.settings("adapt", {**QUICK, "max_steps": 2, "batch_size": 16})
    for share in (0.4, 0.99):
        told = Summary()
        out, how = tmp_path / f"{share}", Adaptation(replay=share)
        adapt(base, corpus, settings, out, how, old=old, reporter=told)
        assert told.summary["batch_size"] == 16


@pytest.mark.once
def test_that_unknown_words_were_learnt_is_handed_down(
    base: Base, tmp_path: Path
) -> None:
    assert base.knows_unknown
    corpus = texts(base, new_words=1)
    assert corpus.train.counts.oov == 0
    settings = base.settings("adapt", {**QUICK, "max_steps": 2})
    adapt(base, corpus, settings, tmp_path / "a", Adaptation(new_words=1))
    assert Base.load(tmp_path / "a").knows_unknown


@pytest.mark.once
def test_old_text_has_something_to_predict(tmp_path: Path) -> None:
    corpus = Corpus.from_texts(OLD, tokenizer="char")
    quick = {"max_steps": 2, "validations": 1}
    train(corpus, Settings(units=4, layers=1, **quick), tmp_path / "base")
    base = Base.load(tmp_path / "base")
    one = encode_texts(["a"], base.tokenizer)
    new = Corpus.from_texts(NEW, tokenizer=base.tokenizer)
    with pytest.raises(InputError, match="old validation text"):
        adapt(
            base,
            new,
            base.settings("adapt", QUICK),
            tmp_path / "a",
            old_valid=one,
        )
    assert not (tmp_path / "a").exists()


def test_a_transformer_is_adapted_too(tmp_path: Path) -> None:
    corpus = Corpus.from_texts(OLD, tokenizer="word")
    settings = Settings(
        network="transformer", units=8, heads=2, layers=1, max_steps=4, validations=1
    )
    train(corpus, settings, tmp_path / "base")
    base = Base.load(tmp_path / "base")
    new = Corpus.from_texts(NEW, valid=NEW[:2], tokenizer=base.tokenizer, new_words=1)
    how = Adaptation(new_words=1, layer_rate=0.5)
    result = adapt(base, new, base.settings("adapt", QUICK), tmp_path / "a", how)
    assert result.report["adaptation"]["words_added"] == 4
    with pytest.raises(ConfigError, match="received a model of kind transformer"):
        adapt(
            base,
            new,
            base.settings("adapt", QUICK),
            tmp_path / "b",
            Adaptation(low_rank=2),
        )
    assert keras.backend.backend()
