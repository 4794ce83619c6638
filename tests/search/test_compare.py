"""Comparisons with real, very short training."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from keras_rnnlm.code_hash import code_hash
from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import (
    ConfigError,
    FolderError,
    InputError,
    ProbabilityError,
    ResumeError,
)
from keras_rnnlm.language_model import load
from keras_rnnlm.search import measures, running
from keras_rnnlm.search.compare import Comparison, SilentObserver, compare
from keras_rnnlm.search.contestants import parse_sets
from keras_rnnlm.search.plan import Plan, make_plan
from keras_rnnlm.search.rungs import make_rungs
from keras_rnnlm.search.running import Task
from keras_rnnlm.search.runs import Records, Run
from keras_rnnlm.search.space import parse_search
from keras_rnnlm.search.tune_plan import make_tune_plan
from keras_rnnlm.training import memory
from keras_rnnlm.training.memory import needed_bytes
from keras_rnnlm.training.reporter import Reporter, SilentReporter
from keras_rnnlm.training.weight_count import count_weights

SMALL = ["units=16", "layers=1", "batch_size=4", "steps=8", "validations=2"]
MODELS = ("ngram", "lstm")


@pytest.fixture(scope="module", autouse=True)
def short_measurements() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measures, "GENERATED_SECONDS", 0.01)
        yield


@pytest.fixture(scope="module")
def corpus(english_file: Path) -> Corpus:
    return Corpus.from_files(english_file, split=(0.8, 0.1, 0.1), tokenizer="char")


def plan_of(
    corpus: Corpus, models: tuple[str, ...] = MODELS, steps: int = 12, **options: int
) -> Plan:
    items = [*SMALL, f"max_steps={steps}"]
    return make_plan(corpus, models, overrides=parse_sets(items, models), **options)


class Told(SilentObserver):
    """Remembers what began."""

    def __init__(self) -> None:
        self.began: list[str] = []

    def begin(self, number: int, total: int, task: Task) -> Reporter:
        assert number <= total
        self.began.append(task.name)
        return SilentReporter()


@pytest.fixture(scope="module")
def done(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    out = tmp_path_factory.mktemp("compared") / "out"
    return compare(corpus, plan_of(corpus), out, command="rnnlm compare text")


def run(comparison: Comparison, name: str) -> Run:
    found = comparison.records.find(name)
    assert found is not None and found.failure is None
    return found


def test_figures_are_those_of_the_model_folders(
    done: Comparison, corpus: Corpus
) -> None:
    found, folder = run(done, "lstm-seed0"), done.records.folder / "lstm-seed0"
    report = load(folder).evaluate(corpus.parts()["test"])
    blocks = done.records.block_nats("lstm-seed0")
    assert found.test is not None and blocks is not None
    assert found.test["nats"] == pytest.approx(report.nats, rel=1e-5)
    assert blocks.sum() == pytest.approx(report.nats, rel=1e-5)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert found.weights_hash == manifest["sha256"]["model.safetensors"]
    for speed in (found.training_tokens_per_second, found.generation_tokens_per_second):
        assert speed is not None and speed > 0
    assert len(found.history) == 2  # as many as validations
    assert found.weight_bytes == 4 * (found.parameters or 0)


def test_the_ngram_model_is_one_of_them(done: Comparison) -> None:
    found, blocks = run(done, "ngram"), done.records.block_nats("ngram")
    assert found.settings == {"order": 7}
    assert found.test is not None and blocks is not None
    assert blocks.sum() == pytest.approx(found.test["nats"])
    assert found.test["tokens"] == run(done, "lstm-seed0").test["tokens"]  # type: ignore[index]


def test_nothing_is_done_twice(done: Comparison, corpus: Corpus) -> None:
    told = Told()
    again = compare(
        corpus, plan_of(corpus), done.records.folder, resume=True, observer=told
    )
    assert told.began == []
    assert again.records.runs == done.records.runs


def test_what_is_lost_is_read_from_the_runs(done: Comparison, corpus: Corpus) -> None:
    folder = done.records.folder
    before = run(done, "lstm-seed0")
    (folder / "comparison.json").unlink()
    again = compare(corpus, plan_of(corpus), folder, resume=True)
    after = run(again, "lstm-seed0")
    assert (after.hash, after.test) == (before.hash, before.test)


def test_other_settings_are_refused(done: Comparison, corpus: Corpus) -> None:
    with pytest.raises(ResumeError, match="max_steps=12; this command asks for .*=13"):
        compare(corpus, plan_of(corpus, steps=13), done.records.folder, resume=True)
    with pytest.raises(FolderError, match="exists already"):
        compare(corpus, plan_of(corpus), done.records.folder)


def test_other_word_vectors_under_the_same_name_are_refused(
    corpus: Corpus, tmp_path: Path
) -> None:
    path, out = tmp_path / "vectors.txt", tmp_path / "out"
    numbers = " ".join(["0.5"] * 16)
    path.write_text(f"e {numbers}\nt {numbers}\n")
    items = [*SMALL, "max_steps=2", f"vectors={path}"]
    plan = make_plan(corpus, ("lstm",), overrides=parse_sets(items, ("lstm",)))
    first = compare(corpus, plan, out)
    assert compare(corpus, plan, out, resume=True).records.runs == first.records.runs
    running._hash_of_vectors.cache_clear()  # as another process would see it
    path.write_text(f"e {numbers}\nh {numbers}\n")
    with pytest.raises(ResumeError, match="other word vectors"):
        compare(corpus, plan, out, resume=True)


def test_hashes_tell_runs_apart(done: Comparison) -> None:
    runs = done.records.runs
    assert len({each.hash for each in runs}) == len(runs)
    for each in runs:
        assert each.identity["code"] == code_hash() == done.records.facts["code"]
        assert not {"code", "memory"} & set(each.identity["environment"])
        assert each.identity["data"] == {
            part: text["sha256"]
            for part, text in done.records.facts["data"].items()
            if part in ("train", "valid", "test")
        }


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text('{"format": 1, "runs": [{}]}')
    with pytest.raises(FolderError, match="comparison.json' is damaged"):
        Records(tmp_path, {})


def test_plans(corpus: Corpus) -> None:
    plan = plan_of(corpus, seeds=3, first_seed=5, trials=2)
    assert plan.seeds == (5, 6, 7)
    assert (plan.network_runs, plan.total_runs) == (5, 8)
    assert plan.minutes is None and plan.trial_seed not in plan.seeds
    timed = make_plan(corpus, MODELS, minutes=0.5, seeds=2)
    assert timed.minutes == 1.0
    assert all(each.max_steps is None for each in timed.settings.values())
    sized = make_plan(corpus, MODELS, minutes=0.5, parameters=50_000)
    assert sized.settings["lstm"].units != Settings.from_recipe("char").units


def test_plans_that_cannot_be(corpus: Corpus) -> None:
    blind = dataclasses.replace(corpus, valid=None)
    with pytest.raises(InputError, match="needs validation text"):
        make_plan(blind, MODELS, minutes=1)
    with pytest.raises(ConfigError, match="solves for the units of 'lstm'"):
        plan_of(corpus, parameters=10**5)
    with pytest.raises(ConfigError, match="optimizer"):
        make_plan(corpus, ["lstm"], overrides=parse_sets(["optimizer=adan"], ["lstm"]))
    with pytest.raises(ConfigError, match="GB of memory"):
        make_plan(corpus, ["lstm"], parameters=10**11)
    with pytest.raises(ConfigError, match="1 seed and 0 trials or more"):
        plan_of(corpus, seeds=0)


def test_lines_take_the_memory_that_theirs_need(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    size, sets = corpus.vocabulary_size, ["mode=sentence", "batch_size=4"]
    lines = Settings.from_recipe("transformer", sets)
    weights = count_weights(lines, size)
    assert weights is not None
    needed = needed_bytes(weights, size, lines, text=corpus.train)
    assert needed < needed_bytes(weights, size, lines)
    monkeypatch.setattr(memory, "available_bytes", lambda: needed)
    overrides = parse_sets(sets, ("transformer",))
    assert make_plan(corpus, ["transformer"], overrides=overrides).settings
    space, rungs = (
        parse_search(["learning_rate=1e-4:1:log"], lines),
        make_rungs(steps=9),
    )
    assert make_tune_plan(corpus, lines, space, rungs).space == space


@pytest.mark.slow
def test_trials_are_judged_on_validation_text(corpus: Corpus, tmp_path: Path) -> None:
    plan = plan_of(corpus, ("ngram", "gru", "convolutional"), seeds=2, trials=2)
    done = compare(corpus, plan, tmp_path / "out")
    assert len(done.records.runs) == plan.total_runs == 11
    for model in plan.models:
        trials = [run(done, f"{model}-trial{number}") for number in range(2)]
        assert all(each.test is None for each in trials)
        assert all("test" not in each.identity["data"] for each in trials)
        best = min(trials, key=lambda each: each.valid_nats)
        finals = [
            each
            for each in done.records.runs
            if each.model == model and each.kind == "final"
        ]
        assert len(finals) == (1 if model == "ngram" else 2)
        for each in finals:
            assert each.trial == best.trial
            assert {**each.settings, "seed": 0} == {**best.settings, "seed": 0} or (
                model == "ngram" and each.settings == best.settings
            )
        report = tmp_path / "out" / f"{model}-trial0" / "report.json"
        if model != "ngram":
            assert json.loads(report.read_text("utf-8"))["test"] is None


def test_a_last_evaluation_without_figures_is_a_failure_too(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def astray(*_: object, **__: object) -> None:
        raise ProbabilityError("These are no probabilities.")

    monkeypatch.setattr(running, "train", astray)
    models = ("simple_rnn", "ngram")
    done = compare(corpus, plan_of(corpus, models), tmp_path / "out")
    found = done.records.find("simple_rnn-seed0")
    assert found is not None and found.failure == "These are no probabilities."
    assert run(done, "ngram").valid is not None


@pytest.mark.slow
def test_a_run_that_fails_is_one_row(corpus: Corpus, tmp_path: Path) -> None:
    models = ("ngram", "simple_rnn")
    items = [*SMALL, "max_steps=200", "optimizer=sgd", "clip_norm=0"]
    # Far more than float32 can hold after a few steps.
    items += ["learning_rate=3e38", "validations=1"]
    plan = make_plan(corpus, models, overrides=parse_sets(items, models))
    done = compare(corpus, plan, tmp_path / "out")
    found = done.records.find("simple_rnn-seed0")
    assert found is not None and found.failure is not None
    assert "not a number" in found.failure
    assert np.isinf(found.valid_nats)
    told = Told()
    compare(corpus, plan, tmp_path / "out", resume=True, observer=told)
    assert told.began == []
