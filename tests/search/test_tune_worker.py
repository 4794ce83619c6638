"""Workers that take trials from one study."""

import time
from contextlib import ExitStack
from math import isclose
from pathlib import Path
from typing import Any

import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import TrainingError
from keras_rnnlm.search.rungs import make_rungs
from keras_rnnlm.search.space import parse_search
from keras_rnnlm.search.study import Study, seconds_a_step
from keras_rnnlm.search.tune_folder import TuneFolder
from keras_rnnlm.search.tune_plan import make_tune_plan
from keras_rnnlm.search.tune_worker import Worker
from tests.search.test_tune_finals import trained


def begun(text: Path, folder: Path) -> dict[str, Any]:
    """Begin a search in a folder; return the task of a worker."""
    corpus = Corpus.from_files(text, split=(0.8, 0.1, 0.1), tokenizer="char")
    base = Settings(units=16, layers=1)
    space = parse_search(["units=8:32"], base)
    plan = make_tune_plan(corpus, base, space, make_rungs(steps=9))
    TuneFolder(folder).begin(
        plan, storage=None, study="rnnlm", data={}, environment={}, command=""
    )
    Study(TuneFolder(folder).storage, "rnnlm")
    return {
        "folder": str(folder),
        "cores": [0],
        "started": 0.0,
        "spent": 0.0,
        "until": None,
        "trials": 2,
        "imports": [],
    }


def test_steps_are_timed_by_those_that_were_taken(
    english_file: Path, tmp_path: Path
) -> None:
    task = begun(english_file, tmp_path)
    worker = Worker(task, lambda event, **facts: None)
    trial = worker.study.create(worker.owner)
    worker.until = time.monotonic() + 100
    assert worker._in_time(2)  # nobody knows yet
    worker.study.report(trial.number, 0, 1.0, {"steps": 1, "seconds": 4.0})
    # Steps take 4 seconds: one rung of 9 and two final runs would take 108.
    assert worker._in_time(0) and not worker._in_time(2)
    assert isclose(seconds_a_step(worker.study.trials()), 4.0)
    # Once the default is trained one of them is left: 72.
    trained(worker.folder, "default")
    again = Worker(task, lambda event, **facts: None)
    again.until = worker.until
    assert again._in_time(2)


def test_a_trial_that_another_worker_took_first_is_no_end(
    english_file: Path, tmp_path: Path
) -> None:
    """Between the creation of a trial and its claim another worker may look around."""
    task = begun(english_file, tmp_path)
    other = Worker(task, lambda event, **facts: None)
    with ExitStack() as held:

        class Overtaken(Worker):
            """The other worker takes the first trial that this one creates."""

            taken: int | None = None

            def _create(self) -> bool:
                made = super()._create()
                if self.taken is None:
                    self.taken = held.enter_context(other._next())
                return made

        worker = Overtaken(task, lambda event, **facts: None)
        number = held.enter_context(worker._next())
        assert {worker.taken, number} == {0, 1}
        assert held.enter_context(worker._next()) is None


def test_failures_beside_a_trial_that_trains_are_no_end(
    english_file: Path, tmp_path: Path
) -> None:
    worker = Worker(begun(english_file, tmp_path), lambda event, **facts: None)
    first = worker.study.create(worker.owner)  # another worker has it
    for _ in range(12):
        trial = worker.study.create(worker.owner)
        worker._fail(trial.number, 0, "No.", impossible=True)
    with pytest.raises(TrainingError, match="first 13 trials have all failed"):
        worker._fail(first.number, 0, "No.")
