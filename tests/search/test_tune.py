"""Searches whose trainings are fake ones, and so take no time."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import (
    ConfigError,
    FolderError,
    InputError,
    ResumeError,
    StorageError,
    TrainingError,
)
from keras_rnnlm.search import tune_trial, tune_worker
from keras_rnnlm.search.children import shares
from keras_rnnlm.search.rungs import make_rungs
from keras_rnnlm.search.space import parse_search
from keras_rnnlm.search.study import FAILURE, SAME, State
from keras_rnnlm.search.trial_records import read_records
from keras_rnnlm.search.tune import (
    Limits,
    SilentWatcher,
    Tuning,
    check_limits,
    tune,
)
from keras_rnnlm.search.tune_corpus import read_corpus, write_corpus
from keras_rnnlm.search.tune_plan import TunePlan, make_tune_plan
from keras_rnnlm.training.identity import environment
from tests.conftest import CHECKOUT
from tests.search import fake_worker
from tests.search.fake_trial import loss_of

BASE = Settings(units=16, layers=1, batch_size=4, steps=8, learning_rate=0.001)
SEARCH = ["learning_rate=1e-4:1:log", "units=8:32:8"]


@pytest.fixture(autouse=True)
def fake_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fakes(monkeypatch)


def use_fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [str(CHECKOUT), str(CHECKOUT / "src"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setattr(tune_trial, "MODULE", "tests.search.fake_trial")
    monkeypatch.setattr(tune_worker, "MODULE", fake_worker.MODULE)


@pytest.fixture(scope="module")
def corpus(english_file: Path) -> Corpus:
    return Corpus.from_files(english_file, split=(0.8, 0.1, 0.1), tokenizer="char")


def plan_of(
    corpus: Corpus, *search: str, base: Settings = BASE, **options: Any
) -> TunePlan:
    space = parse_search(search or SEARCH, base)
    rungs = make_rungs(steps=9, **options)
    return make_tune_plan(corpus, base, space, rungs, seed=3)


class Told(SilentWatcher):
    """Remembers what happened."""

    def __init__(self) -> None:
        self.events: list[Mapping[str, Any]] = []
        self.notes: list[str] = []
        self.finals: list[str] = []

    def event(self, worker: int, event: Mapping[str, Any]) -> None:
        self.events.append(event)

    def final(self, name: str) -> None:
        self.finals.append(name)

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


@pytest.fixture(scope="module")
def done(
    corpus: Corpus, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Tuning, Told]:
    with pytest.MonkeyPatch.context() as patch:
        use_fakes(patch)
        out, told = tmp_path_factory.mktemp("tuned") / "out", Told()
        found = tune(
            corpus, plan_of(corpus), out, Limits(trials=9, workers=2), watcher=told
        )
    return found, told


def test_a_search(done: tuple[Tuning, Told]) -> None:
    found, told = done
    assert [trial.number for trial in found.trials] == list(range(9))
    assert found.trials[0].params == {"learning_rate": 0.001, "units": 16}
    done_on = [len(trial.intermediate_values) for trial in found.trials]
    assert done_on[0] == 3  # the first is the best so far on every rung
    assert 1 in done_on and sum(done_on) < 27
    for trial in found.trials:
        complete = 2 in trial.intermediate_values
        assert trial.state is (State.COMPLETE if complete else State.PRUNED)
        for rung, loss in trial.intermediate_values.items():
            steps = {"max_steps": 3**rung}
            assert loss == pytest.approx(loss_of({**trial.params, **steps}))
    assert found.best is not None and found.best[1] == 2
    reported = [event for event in told.events if event["event"] == "rung"]
    assert len(reported) == sum(done_on)
    assert told.finals == ["best", "default"]
    best, default = (found.finals[name] for name in ("best", "default"))
    assert best.loss is not None and default.loss is not None
    assert best.loss <= default.loss
    assert best.settings["seed"] == 0 and best.settings["max_steps"] == 9


def test_every_training_was_begun_once(done: tuple[Tuning, Told]) -> None:
    runs = list(done[0].folder.glob("trials/*/rung*.log"))
    reported = [event for event in done[1].events if event["event"] == "rung"]
    assert len(runs) == len(reported)
    records = read_records(done[0].folder)
    assert [trial.number for trial in records] == list(range(9))
    for mine, theirs in zip(records, done[0].trials, strict=True):
        assert mine.state is theirs.state and mine.params == theirs.params


def test_a_finished_search_is_a_no_op(
    done: tuple[Tuning, Told], corpus: Corpus
) -> None:
    told = Told()
    again = tune(
        corpus,
        plan_of(corpus),
        done[0].folder,
        Limits(trials=9),
        resume=True,
        watcher=told,
    )
    assert [e for e in told.events if e["event"] == "rung"] == []
    assert told.finals == [] and again.finals == done[0].finals
    assert [t.params for t in again.trials] == [t.params for t in done[0].trials]


def test_more_trials_come_to_it_and_a_lost_journal_is_made_again(
    corpus: Corpus, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = tune(corpus, plan_of(corpus), out, Limits(trials=3))
    (out / "journal.jsonl").unlink()
    told = Told()
    again = tune(
        corpus, plan_of(corpus), out, Limits(trials=5), resume=True, watcher=told
    )
    assert any("3 are there again" in note for note in told.notes)
    assert len(again.trials) == 5
    assert [t.params for t in again.trials[:3]] == [t.params for t in first.trials]
    begun = [e["number"] for e in told.events if e["event"] == "begin"]
    assert set(begun) == {3, 4}


def test_another_search_is_refused(
    done: tuple[Tuning, Told], corpus: Corpus, tmp_path: Path
) -> None:
    folder, limits = done[0].folder, Limits(trials=9)
    with pytest.raises(FolderError, match="exists already"):
        tune(corpus, plan_of(corpus), folder, limits)
    other = plan_of(corpus, "units=8:64")
    with pytest.raises(ResumeError, match="has space learning_rate="):
        tune(corpus, other, folder, limits, resume=True)
    other = plan_of(corpus, base=BASE.replace(layers=2))
    with pytest.raises(ResumeError, match="has settings layers=1; .* asks for 2"):
        tune(corpus, other, folder, limits, resume=True)
    with pytest.raises(ResumeError, match="elsewhere"):
        tune(
            corpus, plan_of(corpus), folder, limits, resume=True, storage=str(tmp_path)
        )
    # The same by way of the study, from another folder.
    with pytest.raises(ResumeError, match="study 'rnnlm' has settings layers"):
        tune(
            corpus, other, tmp_path / "o", limits, storage=str(folder / "journal.jsonl")
        )
    # With that plan the folder could never be gone on with.
    assert not (tmp_path / "o" / "tune.json").exists()


@pytest.mark.slow
def test_two_folders_share_a_study(corpus: Corpus, tmp_path: Path) -> None:
    storage = str(tmp_path / "shared.jsonl")
    for name, trials in (("one", 3), ("two", 6)):
        found = tune(
            corpus,
            plan_of(corpus),
            tmp_path / name,
            Limits(trials=trials),
            storage=storage,
        )
    assert [trial.number for trial in found.trials] == list(range(6))
    numbers = [p.name for p in sorted((tmp_path / "two" / "trials").iterdir())]
    assert numbers == ["0003", "0004", "0005"]


def test_trials_that_fail_are_trials(corpus: Corpus, tmp_path: Path) -> None:
    # A rate of 2 is not a number, one of 20 kills the process.
    plan = plan_of(corpus, "learning_rate=0.001,2,20", "units=16,24")
    found = tune(corpus, plan, tmp_path / "out", Limits(trials=40))
    assert len({json.dumps(t.params) for t in found.trials}) <= 6
    by_rate: dict[float, set[str]] = {}
    for trial in found.trials:
        if SAME not in trial.user_attrs:
            reason = trial.user_attrs.get(FAILURE, "")
            by_rate.setdefault(trial.params["learning_rate"], set()).add(reason)
        else:  # never trained twice
            assert not trial.intermediate_values
    assert all("not a number" in reason for reason in by_rate.get(2, ()))
    assert all("signal 9" in reason for reason in by_rate.get(20, ()))
    assert by_rate[0.001] == {""}
    assert found.best is not None


def test_trials_that_all_fail_end_the_search(corpus: Corpus, tmp_path: Path) -> None:
    plan = plan_of(corpus, "learning_rate=2:4", "units=8:32")
    with pytest.raises(TrainingError, match="first 5 trials have all failed"):
        tune(corpus, plan, tmp_path / "out", Limits(trials=40))


@pytest.mark.parametrize(
    "gone", ["journal", pytest.param("folder", marks=pytest.mark.slow)]
)
def test_a_storage_that_goes_away(
    corpus: Corpus, tmp_path: Path, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = tmp_path / "elsewhere" / "journal.jsonl"

    class Deleting(Told):
        def __init__(self) -> None:
            super().__init__()
            self.workers: set[int] = set()

        def event(self, worker: int, event: Mapping[str, Any]) -> None:
            super().event(worker, event)
            ended = sum(e["event"] == "end" for e in self.events)
            # A worker that opens the study later would make a journal of its own.
            self.workers.add(worker)
            if len(self.workers) < 2:
                return
            if event["event"] == "begin" and ended >= 2 and storage.exists():
                if gone == "folder":
                    storage.parent.rename(tmp_path / "moved")
                else:
                    storage.unlink()

    monkeypatch.setenv("FAKE_STEPS", "10")
    monkeypatch.setenv("FAKE_SECONDS", "0.03")
    told, out = Deleting(), tmp_path / "out"
    with pytest.raises(StorageError) as error:
        tune(
            corpus,
            plan_of(corpus),
            out,
            Limits(trials=30, workers=2),
            storage=str(storage),
            watcher=told,
        )
    said = str(error.value)
    assert "journal.jsonl' is gone" in said and "go on with --resume" in said
    assert str(out) in said and "\n" not in said
    ended = {e["number"] for e in told.events if e["event"] == "end"}
    records = {trial.number: trial for trial in read_records(out)}
    assert ended <= {n for n, trial in records.items() if trial.state.is_finished()}
    monkeypatch.setenv("FAKE_STEPS", "1")
    more = Told()
    found = tune(
        corpus, plan_of(corpus), out, Limits(trials=8), resume=True, watcher=more
    )
    assert len(found.trials) >= 8
    again = {e["number"] for e in more.events if e["event"] == "begin"}
    assert not again & ended
    for number in ended:
        assert found.trials[number].params == records[number].params
    # What was under way went on from its checkpoint: it is begun twice, no other is.
    for path in out.glob("trials/*/*.begun"):
        assert len(path.read_text().splitlines()) <= 2


def test_what_a_worker_cannot_write_is_a_fault_of_the_folder(
    done: tuple[Tuning, Told], corpus: Corpus, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(done[0].folder, out)
    (out / tune_worker.CREATE).unlink()
    (out / tune_worker.CREATE).mkdir()
    with pytest.raises(FolderError, match=r"cannot go on: .*create: Is a directory"):
        tune(corpus, plan_of(corpus), out, Limits(trials=10), resume=True)


def test_rivals_are_trained_beside_the_best(corpus: Corpus, tmp_path: Path) -> None:
    """The seam for whoever else proposes settings."""
    space, rungs = parse_search(SEARCH, BASE), make_rungs(steps=9, number=1)
    rivals = {"default": BASE, "suggest": BASE.replace(units=24), "same": BASE}
    plan = make_tune_plan(corpus, BASE, space, rungs, rivals=rivals)
    found = tune(corpus, plan, tmp_path / "out", Limits(trials=1)).finals
    assert list(found) == ["best", "default", "suggest", "same"]
    assert {final.settings["max_steps"] for final in found.values()} == {9}
    # Trial 0 is the default: one run for all three of them.
    assert found["default"].same_as == found["same"].same_as == "best"
    assert found["suggest"].parameters == 240
    assert not (tmp_path / "out" / "final" / "default").exists()


def test_time_that_leaves_no_room(corpus: Corpus, tmp_path: Path) -> None:
    space = parse_search(SEARCH, BASE)
    plan = make_tune_plan(corpus, BASE, space, make_rungs(minutes=3, number=3))
    with pytest.raises(ConfigError, match="--minutes 6 leaves no room: 2 final runs"):
        tune(corpus, plan, tmp_path / "out", Limits(minutes=6))
    with pytest.raises(ConfigError, match="take 6.33 and 20 s are over"):
        check_limits(plan.rungs, 2, Limits(minutes=6.5), gone=20)
    check_limits(plan.rungs, 2, Limits(minutes=6.5), gone=10)
    with pytest.raises(ConfigError, match="needs an end"):
        tune(corpus, plan, tmp_path / "out", Limits())
    with pytest.raises(ConfigError, match="--workers"):
        tune(corpus, plan, tmp_path / "out", Limits(minutes=60, workers=0))


@pytest.mark.slow
def test_a_training_that_does_not_end_is_stopped(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SLOW", "12")
    monkeypatch.setenv("FAKE_GRACE", "4")
    base = BASE.replace(units=31)
    space = parse_search(["units=31,16"], base)
    plan = make_tune_plan(corpus, base, space, make_rungs(minutes=1 / 60, number=1))
    found = tune(corpus, plan, tmp_path / "out", Limits(minutes=3, trials=3))
    slow, quick = found.trials[:2]
    assert slow.user_attrs[FAILURE] == "Stopped: it did not end in 7 s."
    assert slow.state is State.PRUNED and quick.params == {"units": 16}
    assert found.best is not None and found.best[0].number == quick.number


@pytest.mark.slow
def test_a_search_by_the_clock_ends(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rungs of 1, 3 and 9 seconds; final runs have their time set aside."""
    monkeypatch.setenv("FAKE_SECONDS", "0.5")
    environment()  # which compiles the kernels where they never were
    space = parse_search(SEARCH, BASE)
    rungs = make_rungs(minutes=0.15, number=3)
    plan = make_tune_plan(corpus, BASE, space, rungs)
    found = tune(corpus, plan, tmp_path / "out", Limits(minutes=0.5))
    assert found.trials and set(found.finals) == {"best", "default"}
    assert found.seconds < 30 + 20
    clock = json.loads((tmp_path / "out" / "clock.json").read_text())
    assert clock["seconds"] == pytest.approx(found.seconds, abs=1)
    assert found.plan.rungs == rungs


def test_plans_that_cannot_be(corpus: Corpus) -> None:
    import dataclasses

    with pytest.raises(InputError, match="needs validation text"):
        plan_of(dataclasses.replace(corpus, valid=None))
    with pytest.raises(ConfigError, match="nothing to search"):
        make_tune_plan(corpus, BASE, {}, make_rungs(steps=9))
    with pytest.raises(ConfigError, match="system_minutes"):
        plan_of(corpus, base=BASE.replace(system_minutes=1))
    with pytest.raises(ConfigError, match="optimizer"):
        plan_of(corpus, base=BASE.replace(optimizer="adan"))
    plan = plan_of(corpus)
    assert TunePlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_trials_get_no_test_text(corpus: Corpus, tmp_path: Path) -> None:
    write_corpus(corpus, tmp_path / "corpus")
    found = read_corpus(tmp_path / "corpus")
    assert corpus.test is not None and found.test is None
    assert not list((tmp_path / "corpus").glob("test*"))
    for name, text in found.parts().items():
        mine = corpus.parts()[name]
        assert (text.ids == mine.ids).all() and text.counts == mine.counts
        assert (text.starts == mine.starts).all() and text.sha256 == mine.sha256
    assert found.tokenizer.tokens == corpus.tokenizer.tokens
    (tmp_path / "corpus" / "train-ids.npy").write_bytes(b"")
    with pytest.raises(FolderError, match="is damaged"):
        read_corpus(tmp_path / "corpus")


def test_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda _: {0, 1, 2, 5, 6}, raising=False
    )
    assert shares(1) == [[0, 1, 2, 5, 6]]
    assert shares(2) == [[0, 1], [2, 5, 6]]
    assert shares(5) == [[0], [1], [2], [5], [6]]
    assert shares(7) == [[0], [1], [2], [5], [6], [0], [1]]
