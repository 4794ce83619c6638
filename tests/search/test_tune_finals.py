"""What is set aside for final runs: workers and trainings are none."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import ResumeError
from keras_rnnlm.search import tune as tune_module
from keras_rnnlm.search.finals import runs_left
from keras_rnnlm.search.rungs import make_rungs
from keras_rnnlm.search.space import parse_search
from keras_rnnlm.search.tune import Limits, tune
from keras_rnnlm.search.tune_folder import FINAL, TuneFolder
from keras_rnnlm.search.tune_plan import check_same, make_tune_plan
from tests.search.made_search import a_plan

BASE = Settings(units=16, layers=1)


def trained(folder: TuneFolder, name: str) -> None:
    """Leave behind what a final run of a rival does."""
    settings = folder.plan.final_settings(folder.plan.rivals[name])
    run = folder.path / FINAL / name
    run.mkdir(parents=True)
    run.with_name(f"{name}.json").write_text(
        json.dumps({"settings": settings.to_dict()})
    )
    (run / "report.json").write_text("{}")


def test_what_is_still_to_be_trained(tmp_path: Path) -> None:
    plan, base = a_plan(), a_plan().settings
    rivals = {"default": base, "suggest": base.replace(units=64), "same": base}
    folder = TuneFolder(tmp_path)
    folder.begin(
        replace(plan, rivals=rivals),
        storage=None,
        study="text",
        data={},
        environment={},
        command="",
    )
    assert runs_left(folder) == 3  # two have the same settings
    trained(folder, "default")
    assert runs_left(folder) == 2
    # A run that did not come to its end, and one with other settings, are none.
    place = tmp_path / FINAL / "suggest"
    place.mkdir()
    assert runs_left(folder) == 2
    place.rmdir()
    trained(folder, "suggest")
    assert runs_left(folder) == 1
    (tmp_path / FINAL / "suggest.json").write_text('{"settings": {}}')
    assert runs_left(folder) == 2


def test_vectors_frozen_for_an_epoch_are_not_frozen_for_good(tmp_path: Path) -> None:
    plan = a_plan()
    good = plan.settings.replace(vectors="vectors.txt", vectors_frozen=True)
    once = good.replace(vectors_frozen=1)
    for number, rivals in enumerate(
        ({"default": good, "own": once}, {"default": once})
    ):
        folder = TuneFolder(tmp_path)
        folder.begin(
            replace(plan, settings=good, rivals=rivals),
            storage=None,
            study="text",
            data={},
            environment={},
            command="",
        )
        assert runs_left(folder) == 3 - number
        if not number:
            trained(folder, "default")
            assert runs_left(folder) == 2
    stored = json.loads(json.dumps(folder.plan.to_dict()))
    check_same(stored, folder.plan, "'out'")
    with pytest.raises(ResumeError, match="vectors_frozen=True; .* asks for 1.0"):
        check_same(stored, replace(folder.plan, settings=once), "'out'")


class Idle:
    """A worker that ends at once."""

    tasks: list[dict[str, Any]] = []

    def __init__(self, module: str, task: dict[str, Any], listen: bool) -> None:
        self.tasks.append(task)

    def messages(self) -> Iterator[dict[str, Any]]:
        return iter(())

    def wait(self, seconds: float | None = None) -> int:
        return 0

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_search_that_goes_on_has_the_time_of_what_was_trained(
    english_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = Corpus.from_files(english_file, split=(0.8, 0.1, 0.1), tokenizer="char")
    plan = make_tune_plan(
        corpus,
        BASE,
        parse_search(["units=8:32"], BASE),
        make_rungs(minutes=1, number=1),
        rivals={"default": BASE, "suggest": BASE.replace(units=24)},
    )
    monkeypatch.setattr(tune_module, "Child", Idle)
    monkeypatch.setattr(Idle, "tasks", [])
    out = tmp_path / "out"

    def seconds_for_trials() -> float:
        started, resume = time.monotonic(), out.exists()
        tune(corpus, plan, out, Limits(10), resume=resume, started=started)
        task = Idle.tasks[-1]
        left: float = task["until"] - task["started"] + task["spent"]
        return left

    assert seconds_for_trials() == pytest.approx(600 - 3 * 60)
    trained(TuneFolder(out), "default")
    trained(TuneFolder(out), "suggest")
    assert seconds_for_trials() == pytest.approx(600 - 60)
