"""Runs on disk: their logs, and what a comparison or a search knows of its own.

Read as JSON, without Keras or Optuna: a picture of a search is drawn where the search
has left its folder, finished or not.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_rnnlm.drawing import MOST_NATS
from keras_rnnlm.errors import FolderError, InputError
from keras_rnnlm.models.ensemble_folder import is_ensemble, member_folders
from keras_rnnlm.search.rungs import budget_text
from keras_rnnlm.training.run_folder import LOG, REPORT

COMPARISON, SEARCH = "comparison.json", "tune.json"


@dataclass(frozen=True)
class Run:
    """A run of training.

    Attributes:
        name: For people; different from those of other runs in a picture.
        folder: Where it is.
        history: Rows of its log.
        report: Its report; None while it is not finished.
    """

    name: str
    folder: Path
    history: Sequence[dict[str, Any]]
    report: dict[str, Any] | None = None


@dataclass(frozen=True)
class Series:
    """Perplexity on a validation text over seconds.

    Attributes:
        name: For people.
        points: (seconds, perplexity), in order of time.
        kind: `line`; `steps` for a best so far; `marks`, which are not joined; or
            `level`, a figure without a time of its own.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    kind: str = "line"


def with_members(paths: Iterable[Path]) -> list[Path]:
    """Return paths, with its members in the place of an ensemble.

    Raises:
        FolderError: The list of an ensemble's members is damaged.
    """
    found: list[Path] = []
    for path in paths:
        found += member_folders(path) if is_ensemble(path) else [path]
    return found


def read_runs(paths: Iterable[Path]) -> list[Run]:
    """Return the runs that paths stand for.

    A comparison or a search stands for those in it, an ensemble for its members.

    Raises:
        FolderError: A path has no log of a run, or the log is damaged.
    """
    folders: list[Path] = []
    for path in with_members(paths):
        if (path / COMPARISON).is_file():
            folders += [path / name for name in _finals_of_comparison(path)]
        elif (path / SEARCH).is_file():
            folders += sorted(p.parent for p in path.glob(f"final/*/{LOG}"))
        else:
            folders.append(path)
    missing = [folder for folder in folders if not (folder / LOG).is_file()]
    if missing:
        raise FolderError(
            f"'{missing[0]}' has no {LOG}: expected the folder of a run of `rnnlm "
            "train`, of an ensemble, of a comparison or of a search."
        )
    names = different_names(folders)
    return [
        Run(name, folder, _rows(folder / LOG), _json(folder / REPORT))
        for name, folder in zip(names, folders, strict=True)
    ]


def time_series(paths: Iterable[Path]) -> list[Series]:
    """Return perplexity over time of runs, ensembles, comparisons and searches.

    Raises:
        FolderError: A path is none of these, or damaged.
    """
    found: list[Series] = []
    plain: list[Path] = []
    several: list[Path] = []
    for path in paths:
        whole = any((path / name).is_file() for name in (COMPARISON, SEARCH))
        (several if whole else plain).append(path)
    for path, name in zip(several, different_names(several), strict=True):
        if (path / SEARCH).is_file():
            found += _of_search(path, name)
        else:
            alone = len(several) == 1
            found += _of_comparison(path, "" if alone else f"{name}, ")
    found += [Series(run.name, validations(run)) for run in read_runs(plain)]
    return found


def validations(run: Run) -> tuple[tuple[float, float], ...]:
    """Return (seconds, perplexity) of a run's validations, and its final figure."""
    points = [
        (float(row["seconds"]), math.exp(row["valid_loss"]))
        for row in run.history
        if row.get("event") == "valid" and _able(row.get("valid_loss"))
    ]
    final = (run.report or {}).get("valid")
    if final and _able(final.get("loss")) and run.report is not None:
        points.append((float(run.report["seconds"]), math.exp(final["loss"])))
    return tuple(points)


def different_names(folders: Sequence[Path]) -> list[str]:
    """Return names of folders, as short as makes them different."""
    resolved = [folder.resolve() for folder in folders]
    if len(set(resolved)) < len(resolved):
        raise InputError("Expected different runs, received one of them twice.")
    parts = 1
    while True:
        names = ["/".join(folder.parts[-parts:]) for folder in resolved]
        if len(set(names)) == len(names):
            return names
        parts += 1


def _of_comparison(path: Path, before: str) -> list[Series]:
    content = _json(path / COMPARISON) or {}
    found = []
    for run in content.get("runs", []):
        if run.get("kind") != "final" or run.get("valid") is None:
            continue
        rows = [(float(x), y) for x, y in run.get("history", []) if _able(y)]
        rows.append((float(run["seconds"] or 0.0), run["valid"]["loss"]))
        points = tuple((x, math.exp(y)) for x, y in rows if _able(y))
        kind = "level" if run["model"] == "ngram" else "line"
        found.append(
            Series(
                f"{before}{run['name']}",
                points[-1:] if kind == "level" else points,
                kind,
            )
        )
    return found


def _of_search(path: Path, name: str) -> list[Series]:
    """Return the trials of each rung, the best so far on the last, the final runs."""
    content = _json(path / SEARCH) or {}
    rungs: dict[int, list[tuple[float, float]]] = {}
    for file in sorted(path.glob("trials/*/trial.json")):
        trial = _json(file) or {}
        for rung, loss in trial.get("rungs", {}).items():
            at = trial.get("user_attrs", {}).get(f"rung{rung}", {}).get("at")
            if _able(loss) and at is not None:
                rungs.setdefault(int(rung), []).append((float(at), math.exp(loss)))
    ladder = content["plan"]["rungs"]
    found = []
    for rung, points in sorted(rungs.items()):
        text = budget_text(ladder["unit"], ladder["budgets"][rung])
        ordered = tuple(sorted(points))
        found.append(Series(f"{name}, after {text}", ordered, "marks"))
        if rung == max(rungs):
            best: list[tuple[float, float]] = []
            for x, y in ordered:
                if not best or y < best[-1][1]:
                    best.append((x, y))
            label = f"{name}, best after {text}"
            found.append(Series(label, tuple(best), "steps"))
    for file in sorted(path.glob(f"final/*/{REPORT}")):
        report = _json(file) or {}
        loss = (report.get("valid") or {}).get("loss")
        if loss is not None and _able(loss):
            point = (0.0, math.exp(loss))
            found.append(Series(f"{name}, final {file.parent.name}", (point,), "level"))
    return found


def _finals_of_comparison(path: Path) -> list[str]:
    content = _json(path / COMPARISON) or {}
    return [
        run["name"]
        for run in content.get("runs", [])
        if run.get("kind") == "final" and (path / run["name"] / LOG).is_file()
    ]


def _able(loss: Any) -> bool:
    return isinstance(loss, int | float) and loss < MOST_NATS


def _rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a log; the last may be being written."""
    lines = path.read_text("utf-8").splitlines()
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            if number == len(lines):
                break
            raise FolderError(
                f"'{path}' is damaged in line {number} ({error})."
            ) from error
    return rows


def _json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return found
    except ValueError as error:
        raise FolderError(f"'{path}' is damaged ({error}).") from error
