"""Storages that lose trials, and folders that put theirs back."""

import json
from pathlib import Path
from typing import Any

import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import FolderError, ResumeError
from keras_rnnlm.search import tune_opening, tune_trial
from keras_rnnlm.search.rungs import make_rungs
from keras_rnnlm.search.space import parse_search
from keras_rnnlm.search.study import FAILURE, Record, State, Study, unfinished
from keras_rnnlm.search.trial_records import (
    BEGUN_AS,
    LOST,
    read_records,
    trial_folder,
    write_record,
)
from keras_rnnlm.search.tune import Limits, tune
from keras_rnnlm.search.tune_folder import TuneFolder
from keras_rnnlm.search.tune_opening import PutBack, open_study, put_back
from keras_rnnlm.search.tune_plan import make_tune_plan
from keras_rnnlm.search.tune_worker import Worker
from tests.search.made_search import a_plan
from tests.search.test_tune import Told, plan_of, use_fakes

SPACE = parse_search(["learning_rate=1e-4:1:log", "units=8:32:8"], Settings())


def storage(tmp_path: Path, kind: str, name: str) -> str:
    ending = {"journal": "{}/{}.jsonl", "database": "sqlite:///{}/{}.db"}[kind]
    return ending.format(tmp_path, name)


def filled(where: str, root: Path, owners: list[str]) -> list[Record]:
    """Trials of several folders with their records; the last of them is running."""
    study = Study(where, "text")
    for number, owner in enumerate(owners):
        study.create(owner)
        study.choose(number, SPACE, "random", 0)
        if number < len(owners) - 1:
            study.report(number, 0, 2.0 + number, {"at": 1.0})
            study.end(number, State.COMPLETE)
        write_record(root / owner, study.trial(number))
    return study.trials()


def same(old: Record, new: Record) -> bool:
    """Whether a trial came back as it was, under whatever number."""
    names = ("state", "params", "distributions", "intermediate_values", "values")
    facts = {**old.user_attrs, BEGUN_AS: old.number}
    return new.user_attrs == facts and all(
        getattr(old, name) == getattr(new, name) for name in names
    )


@pytest.mark.parametrize("kind", ["journal", "database"])
def test_every_folder_puts_its_own_trials_back(tmp_path: Path, kind: str) -> None:
    owners = ["one", "two", "one", "two", "two", "one"]
    old = filled(storage(tmp_path, kind, "old"), tmp_path, owners)
    where = storage(tmp_path, kind, "new")
    study = Study(where, "text")
    # Whoever comes first has the old numbers, and knows nothing of the other's trials.
    found = put_back(study, tmp_path / "two", "two")
    assert found == PutBack(trials=3, renumbered=0, failed=2)
    assert "3 are there again" in found.notes[0]
    assert found.notes[1].startswith("2 that the storage had lost could not be put")
    for number in (1, 3, 4):
        assert same(old[number], study.trial(number))
    for number in (0, 2):
        assert study.trial(number).user_attrs == {FAILURE: LOST}
    assert study.create("two").number == 5  # it goes on

    # The other comes later: its numbers are taken, and its trials are there all the
    # same, as are their folders.
    study = Study(where, "text")
    assert put_back(study, tmp_path / "one", "one") == PutBack(3, 3, 0)
    for number, new in ((0, 6), (2, 7), (5, 8)):
        assert same(old[number], study.trial(new))
        record = trial_folder(tmp_path / "one", number) / "trial.json"
        assert json.loads(record.read_text("utf-8"))["number"] == new
    assert unfinished(study.trial(8), "one")  # to be gone on with
    assert put_back(study, tmp_path / "one", "one") == PutBack()
    assert put_back(study, tmp_path / "two", "two") == PutBack()
    assert PutBack().notes == []

    # Lost once more: the numbers are those that they had at last.
    study = Study(storage(tmp_path, kind, "newer"), "text")
    assert put_back(study, tmp_path / "one", "one") == PutBack(3, 0, 6)
    for number, new in ((0, 6), (2, 7), (5, 8)):
        assert same(old[number], study.trial(new))


def test_what_was_killed_in_between_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = filled(storage(tmp_path, "journal", "old"), tmp_path, ["one"] * 4)
    study = Study(storage(tmp_path, "journal", "new"), "text")
    for _ in range(2):
        study.create("two")  # who has numbers 0 and 1 now

    def killed(folder: Path, trial: Record) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tune_opening, "write_record", killed)
        with pytest.raises(KeyboardInterrupt):
            put_back(study, tmp_path / "one", "one")
    assert put_back(study, tmp_path / "one", "one") == PutBack()  # no trial twice
    again = [trial for trial in study.trials() if BEGUN_AS in trial.user_attrs]
    assert [(t.user_attrs[BEGUN_AS], t.number) for t in again] == [
        *((2, 2), (3, 3)),  # these numbers were free
        *((0, 4), (1, 5)),
    ]
    for trial in again:
        assert same(old[trial.user_attrs[BEGUN_AS]], trial)

    # A part of it was done: the rest follows.
    study = Study(storage(tmp_path, "journal", "third"), "text")
    study.restore(read_records(tmp_path / "one")[:1])
    assert put_back(study, tmp_path / "one", "one") == PutBack(trials=3)


def test_no_new_trial_has_the_folder_of_an_old_one(tmp_path: Path) -> None:
    filled(storage(tmp_path, "journal", "old"), tmp_path, ["one"] * 3)
    record = trial_folder(tmp_path / "one", 2) / "trial.json"
    record.write_text("{")
    study = Study(storage(tmp_path, "journal", "new"), "text")
    with pytest.raises(FolderError, match="trial.json' is damaged"):
        put_back(study, tmp_path / "one", "one")
    record.unlink()  # as that error says
    assert put_back(study, tmp_path / "one", "one") == PutBack(trials=2, failed=1)
    assert study.create("one").number == 3
    # Nobody looks at the record of a trial that the study has.
    (trial_folder(tmp_path / "one", 0) / "trial.json").write_text("{")
    assert put_back(study, tmp_path / "one", "one") == PutBack()


def test_nothing_is_put_into_the_study_of_another_search(tmp_path: Path) -> None:
    plan, where = a_plan(), storage(tmp_path, "journal", "shared")
    folder = TuneFolder(tmp_path / "one")
    folder.path.mkdir()
    folder.begin(plan, storage=where, study="text", data={}, environment={}, command="")
    told: list[str] = []
    study = open_study(folder, told.append)
    write_record(folder.path, study.create(folder.owner))
    assert told == []
    Path(where).unlink()
    # Somebody begins a search in the place of the lost one.
    other = Study(where, "text")
    other.settle(a_plan(factor=2).to_dict())
    with pytest.raises(ResumeError, match="study 'text' has rungs"):
        open_study(folder, told.append)
    assert other.trials() == []


def test_a_trial_that_was_put_back_trains_where_it_did(
    english_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = Corpus.from_files(english_file, split=(0.8, 0.1, 0.1), tokenizer="char")
    base = Settings(units=16, layers=1)
    space = parse_search(["units=8:32"], base)
    plan = make_tune_plan(corpus, base, space, make_rungs(steps=9))
    folder, where = TuneFolder(tmp_path / "one"), f"{tmp_path}/shared.jsonl"
    folder.path.mkdir()
    folder.begin(
        plan, storage=where, study="rnnlm", data={}, environment={}, command=""
    )
    write_record(folder.path, open_study(folder, print).create(folder.owner))
    Path(where).unlink()
    Study(where, "rnnlm").create("two")  # which has its number now
    open_study(folder, print)
    runs: list[Path] = []

    def fail(self: Worker, run: Path, *_: Any) -> int:
        runs.append(run)
        told = {"kind": tune_trial.TRAINING, "message": "No."}
        tune_trial.failure_path(run).write_text(json.dumps(told))
        return 2

    monkeypatch.setattr(Worker, "_run", fail)
    task = {"folder": str(folder.path), "cores": [0], "started": 0.0, "spent": 0.0}
    task |= {"until": None, "trials": 2, "imports": []}
    worker = Worker(task, lambda event, **facts: None)
    with worker._next() as number:
        assert number == 1
        worker._climb(number)
    assert runs == [trial_folder(folder.path, 0) / "rung0"]
    (record,) = read_records(folder.path)
    assert (record.number, record.user_attrs[FAILURE]) == (1, "No.")
    assert [path.name for path in (folder.path / "trials").iterdir()] == ["0000"]


@pytest.mark.slow
def test_two_searches_whose_storage_was_deleted(
    english_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fake trainings; none is done twice, and none is forgotten."""
    use_fakes(monkeypatch)
    corpus = Corpus.from_files(english_file, split=(0.8, 0.1, 0.1), tokenizer="char")
    where = tmp_path / "shared.jsonl"
    points: dict[str, list[dict[str, Any]]] = {}
    for name, trials in (("one", 3), ("two", 6)):
        limits, out = Limits(trials=trials), tmp_path / name
        tune(corpus, plan_of(corpus), out, limits, storage=str(where))
        points[name] = [trial.params for trial in read_records(out)]
    where.unlink()
    told = Told()
    for name in ("two", "one"):
        found = tune(
            corpus,
            plan_of(corpus),
            tmp_path / name,
            Limits(trials=6),
            resume=True,
            watcher=told,
        )
    assert [trial.params for trial in found.trials] == [
        *({}, {}, {}),
        *points["two"],
        *points["one"],
    ]
    assert not [event for event in told.events if event["event"] == "begin"]
    assert sum("3 are there again" in note for note in told.notes) == 2
