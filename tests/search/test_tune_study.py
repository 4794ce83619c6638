import importlib
import math
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.errors import ConfigError, FolderError, StorageError
from keras_rnnlm.search.rungs import make_rungs
from keras_rnnlm.search.space import parse_search
from keras_rnnlm.search.study import (
    FAILURE,
    State,
    Study,
    best_of,
    by_merit,
    hidden,
    next_rung,
    unfinished,
)
from keras_rnnlm.search.trial_records import (
    BEGUN_AS,
    LOST,
    read_records,
    states,
    tidy,
    trial_folder,
    write_record,
)
from keras_rnnlm.search.tune_opening import PutBack, put_back

SPACE = parse_search(
    ["learning_rate=1e-4:1:log", "units=8:32:8", "embedding=none,16"], Settings()
)
DEFAULT = {"learning_rate": 0.01, "units": 16, "embedding": None}


@pytest.fixture
def where(tmp_path: Path) -> str:
    return str(tmp_path / "journal.jsonl")


def study_of(where: str) -> Study:
    return Study(where, "text")


def test_a_trial_from_its_beginning_to_its_end(where: str) -> None:
    study, other = study_of(where), study_of(where)
    assert study.plan is None
    study.plan = {"a": 1}
    assert other.plan == {"a": 1}
    made = study.create("here")
    assert made.number == 0 and unfinished(other.trial(0), "here")
    assert not unfinished(made, "elsewhere")
    assert study.choose(0, SPACE, "tpe", 0, DEFAULT) == DEFAULT
    rungs = make_rungs(steps=9)
    assert next_rung(study.trial(0), rungs) == 0
    study.report(0, 0, 2.0, {"seconds": 3})
    study.report(0, 2, 1.5, {"seconds": 30})
    assert next_rung(other.trial(0), rungs) == 3
    study.end(0, State.COMPLETE)
    (trial,) = other.trials()
    assert (trial.value, trial.state) == (1.5, State.COMPLETE)
    assert trial.user_attrs["rung2"] == {"seconds": 30}
    assert best_of([trial]) is not None
    assert states([trial]) == {"complete": 1}


@pytest.mark.parametrize("kind", ["journal", "database"])
def test_of_plans_that_come_at_once_the_first_is_that_of_all(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = f"sqlite:///{tmp_path}/s.db" if kind == "database" else f"{tmp_path}/s"
    studies = [study_of(where) for _ in range(3)]
    with monkeypatch.context() as patch:
        patch.setattr(Study, "plan", None)  # each of them looked before any was there
        settled = [study.settle({"a": [n]}) for n, study in enumerate(studies)]
    assert settled == [{"a": [0]}] * 3
    assert [study.plan for study in studies] == settled
    assert study_of(where).settle({"a": [9]}) == {"a": [0]}
    assert studies[0].trials() == []  # the numbers of trials begin with 0, as ever

    # One that was deleted and is begun again has a plan of its own.
    optuna.delete_study(study_name="text", storage=studies[0]._storage)
    with monkeypatch.context() as patch:  # and whoever begins it is killed in between
        patch.setattr(optuna.Study, "set_user_attr", lambda *_: None)
        assert study_of(where).settle({"a": [4]}) == {"a": [4]}
    assert study_of(where).plan is None
    assert study_of(where).settle({"a": [5]}) == {"a": [4]}
    assert study_of(where).plan == {"a": [4]}


def test_draws_depend_on_seed_and_number_alone(tmp_path: Path) -> None:
    points: dict[str, list[dict[str, Any]]] = {}
    for name in ("one", "two"):
        study = study_of(str(tmp_path / name))
        for number in range(4):
            study = study_of(str(tmp_path / name)) if name == "two" else study
            study.create("here")
            points.setdefault(name, []).append(study.choose(number, SPACE, "random", 5))
    assert points["one"] == points["two"]
    rates = {point["learning_rate"] for point in points["one"]}
    assert len(rates) == 4
    study = study_of(str(tmp_path / "three"))
    study.create("here")
    assert study.choose(0, SPACE, "random", 6) != points["one"][0]


def test_what_was_chosen_stays(where: str) -> None:
    study = study_of(where)
    study.create("here")
    first = study.choose(0, SPACE, "tpe", 0)
    assert study_of(where).choose(0, SPACE, "random", 9) == first


def test_the_best_is_on_the_highest_rung(where: str) -> None:
    study = study_of(where)
    for number, losses in enumerate([[1.0], [3.0, 2.0], [3.0, 2.5], [math.inf]]):
        study.create("here")
        study.choose(number, SPACE, "random", 0)
        for rung, loss in enumerate(losses):
            study.report(number, rung, loss, {})
    found = best_of(study.trials())
    assert found is not None and (found[0].number, found[1]) == (1, 1)
    assert best_of(study.trials()[3:]) is None


def test_a_figure_counts_though_the_next_rung_failed(where: str) -> None:
    study = study_of(where)
    for number, losses in enumerate([[1.0, math.inf], [3.0, 2.0], [2.0], [math.inf]]):
        study.create("here")
        study.choose(number, SPACE, "random", 0)
        for rung, loss in enumerate(losses):
            study.report(number, rung, loss, {})
    trials = study.trials()
    assert [trial.number for trial in by_merit(trials)] == [1, 0, 2]
    found = best_of(trials[:1])
    assert found is not None and (found[0].number, found[1]) == (0, 0)


def test_a_lost_study_is_made_again(where: str, tmp_path: Path) -> None:
    study, folder = study_of(where), tmp_path / "out"
    for number in range(4):
        study.create("here")
        study.choose(number, SPACE, "tpe", 0)
    study.report(0, 0, 2.0, {"at": 1.5})
    study.end(0, State.PRUNED)
    study.report(1, 0, math.inf, {"at": 2.5})
    study.end(1, State.PRUNED, **{FAILURE: "Not a number."})
    study.report(2, 0, 1.0, {"at": 3.5})
    for number in (0, 1, 3):  # that of number 2 is lost
        write_record(folder, study.trial(number))
    assert [trial.number for trial in read_records(folder)] == [0, 1, 3]
    again = study_of(str(tmp_path / "new.jsonl"))
    assert put_back(again, folder, "here") == PutBack(trials=3, failed=1)
    for old, new in zip(study.trials(), again.trials(), strict=True):
        assert old.number == new.number
        if new.number == 2:
            assert new.state is State.FAIL and new.user_attrs[FAILURE] == LOST
            continue
        for name in ("state", "params", "distributions", "intermediate_values"):
            assert getattr(old, name) == getattr(new, name)
        assert new.user_attrs == {**old.user_attrs, BEGUN_AS: old.number}
        assert old.datetime_start == new.datetime_start
    assert unfinished(again.trial(3), "here")

    path = trial_folder(folder, 1) / "trial.json"
    path.write_text("{")
    with pytest.raises(FolderError, match="trial.json' is damaged"):
        read_records(folder)


def test_what_is_left_of_a_run(tmp_path: Path) -> None:
    for name in ("report.json", "training.jsonl", "model.safetensors", ".lock"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "folder").mkdir()
    tidy(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"report.json", "training.jsonl"}


def test_storages_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be used: .*: File exists"):
        study_of(str(tmp_path / "file" / "journal"))
    with pytest.raises(StorageError, match="is no file"):
        study_of(str(tmp_path))
    with pytest.raises(StorageError, match="cannot be used: .*unable to open"):
        study_of(f"sqlite:///{tmp_path}/none/study.db")
    with pytest.raises(StorageError, match="cannot be used: "):
        study_of("nonsense://where")


def test_a_database_that_cannot_be_reached() -> None:
    pytest.importorskip("psycopg", reason="needs psycopg[binary]")
    url = "postgresql+psycopg://me:secret@127.0.0.1:9/rnnlm"
    with pytest.raises(StorageError) as error:
        study_of(url)
    said = str(error.value)
    assert "refused" in said and "secret" not in said and "\n" not in said


def test_a_driver_that_is_not_there() -> None:
    with pytest.raises(StorageError, match="needs a driver that is not installed"):
        study_of("mysql+mysqlconnector://me@127.0.0.1/rnnlm")


def test_optuna_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == "optuna" or name == Study.__module__:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"pip install 'keras-rnnlm\[tune\]'"):
        importlib.import_module(Study.__module__)


def test_passwords_are_hidden() -> None:
    assert hidden("mysql://me:a@b@host:1/x") == "mysql://me:***@host:1/x"
    assert hidden("postgresql://host/x") == "postgresql://host/x"
    assert hidden("out/journal.jsonl") == "out/journal.jsonl"


def test_a_database_keeps_trials_too(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    study = study_of(url)
    study.create("here")
    study.choose(0, SPACE, "tpe", 0, DEFAULT)
    study.report(0, 0, math.inf, {"at": 1.0})
    assert study_of(url).trial(0).intermediate_values == {0: math.inf}
    assert study_of(url).trial(0).params == DEFAULT
    other = study_of(url)
    study.create("there")  # which the other one has not read yet
    assert set(other.choose(1, SPACE, "tpe", 0)) == set(DEFAULT)
    assert study.choose(1, SPACE, "tpe", 0) == other.trial(1).params
