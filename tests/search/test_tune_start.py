"""What `rnnlm tune` begins with: no machine is measured, and nothing is searched."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keras_rnnlm.cli import imports
from keras_rnnlm.cli.main import run
from keras_rnnlm.cli.tune_budget import short_rung
from keras_rnnlm.config import Settings
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.search import tune, tune_start
from keras_rnnlm.search.rungs import make_rungs
from keras_rnnlm.search.tune_plan import TunePlan

SUGGESTED = Settings(units=16, layers=1, batch_size=4, steps=8)
MEMORY = "XLA_PYTHON_CLIENT_PREALLOCATE"

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def searched(monkeypatch: pytest.MonkeyPatch) -> list[TunePlan]:
    """Plans of the searches that would begin; each command ends with code 2 there."""
    found: list[TunePlan] = []

    def search(corpus: Any, plan: TunePlan, *_: Any, **__: Any) -> None:
        found.append(plan)
        raise ConfigError("That was all of it.")

    monkeypatch.setattr(tune, "tune", search)
    # The tests before are not in the time of this search.
    monkeypatch.setattr("keras_rnnlm.cli.tune.started_at", time.monotonic)
    monkeypatch.setattr(tune_start, "suggest", lambda *_, fixed, **__: proposed(fixed))
    monkeypatch.delenv("RNNLM_RECIPE", raising=False)
    monkeypatch.setenv(MEMORY, "")  # as it was, once the test is over
    monkeypatch.delenv(MEMORY)
    return found


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the command runs in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def proposed(fixed: Mapping[str, Any], units: int = 16) -> SimpleNamespace:
    return SimpleNamespace(settings=SUGGESTED.replace(**{"units": units, **fixed}))


def command(text: Path, *options: str) -> list[str]:
    return ["tune", str(text), "--tokenizer", "char", *options]


@pytest.mark.parametrize("where", ["{}/shared.jsonl", "sqlite:///{}/shared.db"])
def test_of_searches_that_begin_at_once_the_first_to_be_ready_has_the_plan(
    english_file: Path,
    inside: Path,
    searched: list[TunePlan],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    where: str,
) -> None:
    words = command(english_file, "--minutes", "20", "--storage", where.format(inside))
    measured: list[int] = []

    def measure(*_: Any, fixed: Mapping[str, Any], **__: Any) -> SimpleNamespace:
        measured.append(16 + 8 * len(measured))
        units = measured[-1]
        if len(measured) == 1:  # another one comes, and is ready before
            assert run([*words, "--out", "two"]) == 2
        return proposed(fixed, units)

    monkeypatch.setattr(tune_start, "suggest", measure)
    assert run([*words, "--out", "one"]) == 2
    assert measured == [16, 24]
    assert [plan.settings.units for plan in searched] == [24, 24]
    assert searched[0] == searched[1]  # the rivals too
    said = capsys.readouterr().err
    assert said.count("Another process has begun this search meanwhile") == 1

    # Who comes later measures nothing, and what it asks for itself is not overruled.
    assert run([*words, "--out", "three", "--set", "layers=2"]) == 2
    assert len(measured) == 2
    assert searched[2].settings == searched[0].settings.replace(layers=2)


def test_who_joins_and_names_no_space_has_that_of_the_search(
    english_file: Path, inside: Path, searched: list[TunePlan]
) -> None:
    words = command(english_file, "--minutes", "20", "--storage", "shared.jsonl")
    space = ["--search", "units=8:24:8", "--search", "cell=lstm,gru"]
    assert run([*words, *space, "--out", "one"]) == 2
    assert run([*words, "--out", "two"]) == 2
    assert len(searched) == 2 and searched[1] == searched[0]
    assert list(searched[1].space) == ["units", "cell"]


def test_who_joins_and_names_no_rungs_has_those_of_the_search(
    english_file: Path, inside: Path, searched: list[TunePlan], capsys: Captured
) -> None:
    words = command(english_file, "--trials", "5", "--storage", "shared.jsonl")
    assert run([*words, "--out", "none"]) == 2
    assert "give --trial-minutes or --trial-steps" in capsys.readouterr().err
    assert run([*words, "--trial-steps", "9", "--out", "one"]) == 2
    assert run([*words, "--out", "two"]) == 2
    assert len(searched) == 2 and searched[1] == searched[0]
    assert searched[1].rungs.budgets[-1] == 9


@pytest.mark.parametrize("how", ["option", "variable"])
def test_suggest_is_what_there_is_without_a_recipe(
    english_file: Path,
    inside: Path,
    searched: list[TunePlan],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    words = command(english_file, "--minutes", "20")
    run(words)
    if how == "variable":
        monkeypatch.setenv("RNNLM_RECIPE", "suggest")
    else:
        words += ["--recipe", "suggest"]
    assert run(words) == 2
    assert searched[1] == searched[0]
    assert searched[0].settings.units == 16
    # Where nothing is suggested it is the recipe for the kind of text, as ever.
    run([*words, "--trial-steps", "9"])
    assert searched[2].settings == Settings.from_recipe("char", {"max_steps": 9})


@pytest.mark.parametrize("line", ["mode = 'sentence'", "protocol = 'window:64'"])
def test_rivals_are_evaluated_as_the_recipe_is(
    english_file: Path, inside: Path, searched: list[TunePlan], line: str
) -> None:
    (inside / "own.toml").write_text(f"units = 24\n{line}\n")
    words = command(english_file, "--minutes", "20", "--recipe", "own.toml")
    assert run(words) == 2
    (plan,) = searched
    assert plan.settings.units == 24 and plan.rivals["suggest"].units == 16
    found = {each.evaluation_protocol for each in plan.rivals.values()}
    assert found == {plan.settings.evaluation_protocol} != {None}


@pytest.mark.parametrize(("given", "expected"), [(None, "false"), ("true", "true")])
def test_the_memory_of_a_gpu_is_left_to_the_trials(
    english_file: Path,
    inside: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: str | None,
    expected: str,
) -> None:
    if given is not None:
        monkeypatch.setenv(MEMORY, given)
    found: list[str | None] = []

    def measure(*_: Any, fixed: Mapping[str, Any], **__: Any) -> SimpleNamespace:
        found.append(os.environ.get(MEMORY))
        return proposed(fixed)

    def look(path: Path) -> None:  # a cell of one's own may be the first to need JAX
        found.append(os.environ.get(MEMORY))

    monkeypatch.setattr(tune_start, "suggest", measure)
    monkeypatch.setattr(imports, "import_file", look)
    words = command(english_file, "--minutes", "20", "--import", "own.py")
    assert run(words) == 2
    assert found == [expected, expected]


@pytest.mark.parametrize(("minutes", "warned"), [("5", True), ("20", False)])
def test_trials_that_are_mostly_start_are_warned_of(
    english_file: Path, inside: Path, capsys: Captured, minutes: str, warned: bool
) -> None:
    assert run(command(english_file, "--minutes", minutes)) == 2
    said = capsys.readouterr().err
    assert ("Every trial has 15 s in all, and most of that is start" in said) is warned
    assert ("Give --trial-minutes 1 or more" in said) is warned


def test_which_rungs_are_short() -> None:
    assert "30 s in all, and much of" in (short_rung(make_rungs(minutes=0.5)) or "")
    for rungs in (
        make_rungs(minutes=0.7),
        make_rungs(minutes=0.6, number=2),  # as somebody wished
        make_rungs(steps=9, number=1),
    ):
        assert short_rung(rungs) is None
