import csv
import json
import math
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from keras_rnnlm.config import Settings, recipe_names
from keras_rnnlm.files import json_bytes
from keras_rnnlm.recipe_writing import recipe_toml
from keras_rnnlm.search.importance import importances
from keras_rnnlm.search.study import State, best_of
from keras_rnnlm.search.tune_plots import write_plots
from keras_rnnlm.search.tune_table import (
    best_recipe,
    finals_table,
    ranked,
    remarks,
    report_of,
    trials_csv,
    trials_table,
    write_words,
)
from tests.search.made_search import a_plan, a_search, a_trial
from tests.search.test_plot import is_picture


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_are_written_as_they_are_read(name: str, tmp_path: Path) -> None:
    settings = Settings.from_recipe(name)
    path = tmp_path / "mine.toml"
    path.write_text(recipe_toml(settings, "Two lines\nof comment."), encoding="utf-8")
    assert Settings.from_recipe(path) == settings
    assert path.read_text().startswith("# Two lines\n# of comment.\n")


def test_all_kinds_of_values_are_written(tmp_path: Path) -> None:
    settings = Settings(
        cell="mogrifier_lstm",
        cell_arguments={"rounds": 4},
        tie_weights=False,
        output="adaptive",
        output_cutoffs=(2000, 20000),
        learning_rate=1e-05,
        protocol='odd "name"',
        minutes=3.0,
    )
    path = tmp_path / "mine.toml"
    path.write_text(recipe_toml(settings), encoding="utf-8")
    assert Settings.from_recipe(path) == settings


def test_the_best_recipe(tmp_path: Path) -> None:
    tuning = a_search(tmp_path)
    text = best_recipe(tuning)
    assert text is not None and tuning.best is not None
    (tmp_path / "best.toml").write_text(text, encoding="utf-8")
    settings = Settings.from_recipe(tmp_path / "best.toml")
    trial, rung = tuning.best
    assert rung == 2
    for key, value in trial.params.items():
        assert getattr(settings, key) == value
    assert settings.minutes == 3 and settings.seed == 0
    assert tomllib.loads(text)["minutes"] == 3
    assert f"number {trial.number}" in text and "Final run of default: 112.9" in text


def test_tables(tmp_path: Path) -> None:
    tuning = a_search(tmp_path)
    rows = list(csv.DictReader(trials_csv(tuning).splitlines()))
    assert len(rows) == 40
    assert rows[3]["remark"] == "The loss is not a number."
    assert rows[3]["perplexity_rung0"] == ""
    value = math.exp(tuning.trials[0].intermediate_values[2])
    assert float(rows[0]["perplexity_rung2"]) == pytest.approx(value)
    head, _, first, *rest = trials_table(tuning).splitlines()
    assert head.split()[:5] == ["trial", "20", "s", "60", "s"]
    assert len(rest) == 9 and tuning.best is not None
    assert first.split()[0] == str(tuning.best[0].number)
    losses = [t.intermediate_values.get(2, math.inf) for t in ranked(tuning.trials)]
    complete = [loss for loss in losses if math.isfinite(loss)]
    assert complete == sorted(complete) and losses[: len(complete)] == complete
    assert "-10.4%" in finals_table(tuning)
    said = " ".join(remarks(tuning))
    assert "40 trials: " in said and "test text was not looked at" in said


def test_the_report_is_json(tmp_path: Path) -> None:
    tuning = a_search(tmp_path)
    write_words(tuning, tmp_path, json_bytes(report_of(tuning, "rnnlm tune")))
    found = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert found["finals"]["best"]["perplexity"] == 101.2
    assert found["trials"][3]["rungs"]["0"]["perplexity"] is None
    assert found["importance_rung"] == 0
    assert sum(found["importances"].values()) == pytest.approx(1)
    for name in ("trials.csv", "table.txt", "best.toml"):
        assert (tmp_path / name).stat().st_size > 100


def test_importance_finds_what_matters() -> None:
    plan = a_plan()
    trials = []
    for number in range(60):
        trial = a_trial(number, plan, {0: 1.0})
        rate = math.log(trial.params["learning_rate"] / 20)
        trial = a_trial(number, plan, {0: 5 + rate**2})
        trials.append(trial)
    found = importances(trials)
    assert found is not None
    assert next(iter(found)) == "learning_rate"
    assert found["learning_rate"] > 0.5
    assert importances(trials[:5]) is None and importances([]) is None


def test_pictures(tmp_path: Path) -> None:
    assert write_plots(a_search(tmp_path), tmp_path) is None
    for name in ("progress.png", "parallel.png", "importance.png"):
        assert is_picture(tmp_path / name)


@pytest.mark.parametrize("trials", [0, 1, 4])
def test_pictures_and_tables_of_little(tmp_path: Path, trials: int) -> None:
    tuning = replace(a_search(tmp_path, trials), finals={})
    write_plots(tuning, tmp_path)
    assert is_picture(tmp_path / "parallel.png")
    write_words(tuning, tmp_path, json_bytes(report_of(tuning)))
    assert (tmp_path / "best.toml").exists() == (trials > 0)


def test_a_trial_that_failed_on_its_second_rung_has_figures(tmp_path: Path) -> None:
    plan = a_plan()
    losses = [{0: math.inf}, {0: 5.0, 1: math.inf}]
    trials = [a_trial(number, plan, each) for number, each in enumerate(losses)]
    assert [trial.number for trial in ranked(trials)] == [1, 0]
    nothing = a_search(tmp_path, 0)
    tuning = replace(nothing, trials=trials, best=best_of(trials), finals={})
    assert "No trial has reached the last rung yet." in remarks(tuning)
    assert "number 1: validation perplexity 148.4" in (best_recipe(tuning) or "")


def test_one_that_waits_is_said(tmp_path: Path) -> None:
    tuning = a_search(tmp_path)
    tuning.trials[5].state = State.RUNNING
    assert "had no time for their next rung" in " ".join(remarks(tuning))
