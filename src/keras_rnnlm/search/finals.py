"""Final runs: the best settings beside their rivals, each trained for the same time.

One after the other, on all cores, with the seed of the recipe, which no trial had.
Figures are of the validation text: the test text is left for whoever trains the recipe.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from keras_rnnlm.config import Settings
from keras_rnnlm.errors import FolderError, TrainingError
from keras_rnnlm.files import json_bytes, write_file
from keras_rnnlm.own_code import imported_files
from keras_rnnlm.search import tune_trial
from keras_rnnlm.search.children import Child, shares
from keras_rnnlm.search.space import settings_at
from keras_rnnlm.search.tune_corpus import FOLDER
from keras_rnnlm.search.tune_folder import FINAL, TuneFolder
from keras_rnnlm.search.tune_plan import BEST
from keras_rnnlm.setting_values import alike
from keras_rnnlm.training.run_folder import REPORT
from keras_rnnlm.training.signals import SignalFlag

_TICK = 0.25  # seconds


@dataclass(frozen=True)
class Final:
    """A final run.

    Attributes:
        name: `best`, `default`, ...
        folder: The model folder.
        settings: It was trained with.
        perplexity: On the validation text; None after a failure.
        loss: The same in nats a token.
        seconds: It took.
        parameters: Number of weights.
        steps: Of the optimizer.
        failure: Why there are no figures; None where there are.
        same_as: Name of the rival with the same settings, whose run this is.
    """

    name: str
    folder: str
    settings: dict[str, Any]
    perplexity: float | None = None
    loss: float | None = None
    seconds: float | None = None
    parameters: int | None = None
    steps: int | None = None
    failure: str | None = None
    same_as: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all fields for JSON."""
        return asdict(self)


class Announcer(Protocol):
    """Told which final run begins."""

    def final(self, name: str) -> None:
        """A final run begins."""


def contestants(folder: TuneFolder, point: Mapping[str, Any]) -> dict[str, Settings]:
    """Return who is trained at the end: the best, then its rivals."""
    plan = folder.plan
    best = settings_at(plan.settings, point)
    return {
        name: plan.final_settings(settings)
        for name, settings in {BEST: best, **plan.rivals}.items()
    }


def runs_left(folder: TuneFolder) -> int:
    """Return how many final runs may still have to be trained.

    One is for the best, which nobody knows yet. Rivals have had theirs where a search
    that came to its end is gone on with; those with the same settings share one.
    """
    plan, root = folder.plan, folder.path / FINAL
    finals: dict[str, Settings] = {}
    for name, rival in plan.rivals.items():
        settings = plan.final_settings(rival)
        if not any(alike(settings.to_dict(), f.to_dict()) for f in finals.values()):
            finals[name] = settings
    places = (_place(root, name, settings) for name, settings in finals.items())
    return 1 + sum(not (place / REPORT).is_file() for place in places)


def run_finals(
    folder: TuneFolder,
    point: Mapping[str, Any],
    flag: SignalFlag,
    announcer: Announcer,
    clock: Callable[[], float],
) -> dict[str, Final]:
    """Train the best and its rivals, but for those that are trained already.

    Args:
        folder: Of the search.
        point: The best one.
        flag: Set by a signal, after which what is finished is returned.
        announcer: Told what begins.
        clock: Called now and then.
    """
    found: dict[str, Final] = {}
    for name, settings in contestants(folder, point).items():
        twin = next(
            (f for f in found.values() if alike(f.settings, settings.to_dict())), None
        )
        if twin is not None:
            found[name] = Final(**{**asdict(twin), "name": name, "same_as": twin.name})
            continue
        final = _run(folder, name, settings, flag, announcer, clock)
        if final is None:
            break
        found[name] = final
    return found


def _run(
    folder: TuneFolder,
    name: str,
    settings: Settings,
    flag: SignalFlag,
    announcer: Announcer,
    clock: Callable[[], float],
) -> Final | None:
    """Train one; None if it was interrupted."""
    root = folder.path / FINAL
    root.mkdir(exist_ok=True)
    run = _place(root, name, settings)
    report, failure = run / REPORT, tune_trial.failure_path(run)
    code: int | None = 0
    if not report.is_file():
        announcer.final(name)
        failure.unlink(missing_ok=True)
        code = _train(folder, run, settings, flag, clock)
    if report.is_file():
        found = json.loads(report.read_text("utf-8"))
        return Final(
            name,
            str(run),
            settings.to_dict(),
            perplexity=found["valid"]["perplexity"],
            loss=found["valid"]["loss"],
            seconds=found["seconds"],
            parameters=found["parameters"],
            steps=found["schedule"]["steps"],
        )
    if flag.number is not None:
        return None
    reason = f"Its process ended with code {code}."
    if failure.is_file():
        told = json.loads(failure.read_text("utf-8"))
        reason = told["message"]
        if told["kind"] == tune_trial.FATAL:
            raise TrainingError(f"'{name}' cannot be trained. {reason}")
    return Final(name, str(run), settings.to_dict(), failure=reason)


def _train(
    folder: TuneFolder,
    run: Path,
    settings: Settings,
    flag: SignalFlag,
    clock: Callable[[], float],
) -> int | None:
    task = {
        "settings": settings.to_dict(),
        "folder": str(run),
        "corpus": str(folder.path / FOLDER),
        "cores": shares(1)[0],
        "started": time.monotonic(),
        "imports": [str(path) for path in imported_files()],
    }
    write_file(run.with_name(f"{run.name}.json"), json_bytes(task))
    child = Child(tune_trial.MODULE, task, run.with_name(f"{run.name}.log"))
    try:
        while (code := child.wait(_TICK)) is None:
            clock()
            if flag.number is not None:
                child.stop()
        return code
    finally:
        child.close()


def _place(root: Path, name: str, settings: Settings) -> Path:
    """Return the folder of a run: `best`, or `best-2` where another best has that."""
    number = 1
    while True:
        run = root / (name if number == 1 else f"{name}-{number}")
        task = run.with_name(f"{run.name}.json")
        if not task.is_file():
            return run
        try:
            known = json.loads(task.read_text("utf-8"))["settings"]
        except (ValueError, KeyError, TypeError) as error:
            raise FolderError(f"'{task}' is damaged ({error}). Remove it.") from error
        if alike(known, settings.to_dict()):
            return run
        number += 1
