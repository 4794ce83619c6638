"""Trials that fail: why one did, and when so many did that a search has no hope."""

from collections.abc import Iterable
from math import inf, isfinite
from pathlib import Path

from keras_rnnlm.search.study import FAILURE, SAME, Record, State
from keras_rnnlm.search.trial_records import LOST

HOPELESS = 5
"""Trials that failed one after the other, and none that did not: something else is
wrong than their settings."""


def hopeless_after(trials: Iterable[Record]) -> int:
    """Return how many trials failed where that is the end of a search; 0 elsewhere.

    It is the end where none has a figure. One that is running may still have one: while
    there are such, only failures count that were begun before them, and it takes twice
    as many. (Without that several workers, of which one is always running, would fail
    for as long as there is time.) Nobody knows whether trials that the storage has lost
    had figures: they are none of the failures.

    Args:
        trials: All of a study.
    """
    failed: list[int] = []
    oldest = inf
    for trial in trials:
        if any(isfinite(loss) for loss in trial.intermediate_values.values()):
            return 0
        if trial.state is State.RUNNING:
            oldest = min(oldest, trial.number)
        elif _failed(trial):
            failed.append(trial.number)
    before = sum(number < oldest for number in failed)
    return before if before >= (HOPELESS if oldest == inf else 2 * HOPELESS) else 0


def _failed(trial: Record) -> bool:
    reason = trial.user_attrs.get(FAILURE)
    return reason not in (None, LOST) and SAME not in trial.user_attrs


def how_it_ended(code: int | None, run: Path) -> str:
    """Say how a process ended that left neither figures nor a reason.

    Args:
        code: Its exit code.
        run: Folder of its run.
    """
    log = run.with_name(f"{run.name}.log")
    lines = log.read_text("utf-8", "replace").strip().splitlines() or ["no word"]
    if code is not None and code < 0:
        return f"Its process was ended by signal {-code}."
    return f"Its process ended with code {code}: {lines[-1]}"
