"""The record of a trial in its own folder, from which a lost study is made again.

trials/0007/
├── trial.json      the trial as the study has it
├── rung0/ ...      what is left of its training: log, report, curve
├── rung0.json      what the process was told
└── rung0.log       what it said
"""

import json
import math
import shutil
from collections.abc import Collection, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.trial import create_trial

from keras_rnnlm.drawing import MOST_NATS
from keras_rnnlm.errors import FolderError
from keras_rnnlm.files import json_bytes, write_file
from keras_rnnlm.search.study import Record, State

TRIALS, NAME = "trials", "trial.json"
KEPT = ("report.json", "training.jsonl", "curve.png")
LOST = "Its record was lost with the storage."
BEGUN_AS = "begun_as"
"""Attribute of a trial that was put back after a loss: the number that it had when its
folder was made."""


def trial_folder(folder: Path, number: int) -> Path:
    """Return the folder of a trial that was begun with a number."""
    return folder / TRIALS / f"{number:04}"


def begun_as(trial: Record) -> int:
    """Return the number by which the folder of a trial is named."""
    return int(trial.user_attrs.get(BEGUN_AS, trial.number))


def folder_of(folder: Path, trial: Record) -> Path:
    """Return the folder of a trial, whatever number it has now."""
    return trial_folder(folder, begun_as(trial))


def write_record(folder: Path, trial: Record) -> None:
    """Write the record of a trial into its folder.

    Raises:
        FolderError: It cannot be written.
    """
    own = folder_of(folder, trial)
    content = {
        "number": trial.number,
        "state": trial.state.name,
        "values": trial.values,
        "params": trial.params,
        "distributions": {
            key: json.loads(distribution_to_json(kind))
            for key, kind in trial.distributions.items()
        },
        "rungs": {
            str(rung): value if math.isfinite(value) else None
            for rung, value in sorted(trial.intermediate_values.items())
        },
        "user_attrs": trial.user_attrs,
        "begun": _time(trial.datetime_start),
        "ended": _time(trial.datetime_complete),
    }
    try:
        own.mkdir(parents=True, exist_ok=True)
        write_file(own / NAME, json_bytes(content))
    except OSError as error:
        raise FolderError(
            f"Cannot write '{own}': {error.strerror}. Make room, then go on with "
            "--resume."
        ) from error


def read_records(folder: Path) -> list[Record]:
    """Return all trials that have records, in the order of their numbers.

    Raises:
        FolderError: A record is damaged.
    """
    found = [_read(path) for path in sorted((folder / TRIALS).glob(f"*/{NAME}"))]
    return [trial for _, trial in sorted(found, key=lambda row: row[0])]


def folder_numbers(folder: Path) -> list[int]:
    """Return the numbers by which the folders of trials are named, in order."""
    names = [path.name for path in (folder / TRIALS).glob("*") if path.is_dir()]
    numbers = [int(name) for name in names if name.isdecimal()]
    return sorted({n for n in numbers if trial_folder(folder, n).name in names})


def missing_records(folder: Path, there: Collection[int]) -> list[Record]:
    """Return the trials of a folder that a study lacks; each says what it was begun as.

    Args:
        folder: Of the search.
        there: What those that the study has were begun as.

    Raises:
        FolderError: A record is damaged.
    """
    found = []
    for number in folder_numbers(folder):
        path = trial_folder(folder, number) / NAME
        if number in there or not path.is_file():
            continue
        _, trial = _read(path)
        trial.set_user_attr(BEGUN_AS, number)
        found.append(trial)
    return found


def tidy(run: Path) -> None:
    """Leave of a finished run what tells how it went: hundreds have no room.

    Args:
        run: Its folder.
    """
    for path in run.iterdir():
        if path.name in KEPT:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[int, Record]:
    try:
        content = json.loads(path.read_text("utf-8"))
        trial = create_trial(
            state=getattr(State, content["state"]),
            values=content["values"],
            params=content["params"],
            distributions={
                key: json_to_distribution(json.dumps(kind))
                for key, kind in content["distributions"].items()
            },
            intermediate_values={
                int(rung): math.inf if value is None else value
                for rung, value in content["rungs"].items()
            },
            user_attrs=content["user_attrs"],
        )
        trial.number = content["number"]
        trial.datetime_start = _moment(content["begun"])
        trial.datetime_complete = _moment(content["ended"])
        return trial.number, trial
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FolderError(
            f"'{path}' is damaged ({error}). Remove it and go on with --resume; the "
            "trial counts as failed then."
        ) from error


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def states(trials: Iterable[Record]) -> dict[str, int]:
    """Return how many trials are in each state, in words."""
    words: dict[str, Any] = {}
    for trial in trials:
        word = state_word(trial)
        words[word] = words.get(word, 0) + 1
    return words


def state_word(trial: Record) -> str:
    """Return the state of a trial for people."""
    return {
        State.COMPLETE: "complete",
        State.PRUNED: "pruned",
        State.FAIL: "failed",
        State.RUNNING: "waiting" if trial.intermediate_values else "begun",
        State.WAITING: "waiting",
    }[trial.state]


def perplexity_of(loss: float | None) -> float | None:
    """Return exp(loss); None where there is none, or no float holds it."""
    return None if loss is None or not loss < MOST_NATS else math.exp(loss)
