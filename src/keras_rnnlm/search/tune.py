"""`tune`: workers search, the best is trained beside its rivals, and all is written.

A search is a folder and a study (`tune_folder`, `study`). It may be interrupted or
killed at any instant: on `resume` every trial that has ended is left alone, and every
one that had begun goes on where its last checkpoint is.
"""

import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import (
    ConfigError,
    FolderError,
    ResumeError,
    RNNLMError,
    StorageError,
    TrainingError,
)
from keras_rnnlm.own_code import imported_files
from keras_rnnlm.search import tune_worker
from keras_rnnlm.search.children import Child, shares
from keras_rnnlm.search.finals import Final, run_finals, runs_left
from keras_rnnlm.search.rungs import Rungs
from keras_rnnlm.search.study import Record, Study, best_of
from keras_rnnlm.search.tune_corpus import FOLDER, write_corpus
from keras_rnnlm.search.tune_folder import TuneFolder
from keras_rnnlm.search.tune_opening import open_study
from keras_rnnlm.search.tune_plan import TunePlan, check_same
from keras_rnnlm.training.identity import environment
from keras_rnnlm.training.run_folder import RunFolder
from keras_rnnlm.training.signals import SignalFlag

_TICK = 0.25  # seconds
_LONGEST_END = 60.0
"""Seconds that a worker may take to stop: a step, or a compilation, has to end."""


class Watcher(Protocol):
    """Told what a search does; printing is somebody else's work."""

    def event(self, worker: int, event: Mapping[str, Any]) -> None:
        """A worker told something: see `tune_worker`."""

    def final(self, name: str) -> None:
        """A final run begins."""

    def note(self, sentence: str) -> None:
        """Something worth knowing happened."""


class SilentWatcher:
    """A watcher that says nothing."""

    def event(self, worker: int, event: Mapping[str, Any]) -> None:
        """Ignore."""

    def final(self, name: str) -> None:
        """Ignore."""

    def note(self, sentence: str) -> None:
        """Ignore."""


@dataclass(frozen=True)
class Limits:
    """When a search is at its end.

    Attributes:
        minutes: Of all of it, final runs included, summed over resumes; None for no
            end.
        trials: Number of trials; None for no end.
        workers: Processes that search.
    """

    minutes: float | None = None
    trials: int | None = None
    workers: int = 1


@dataclass(frozen=True)
class Tuning:
    """What a search left behind.

    Attributes:
        folder: Of the search.
        plan: What was searched.
        trials: Records of all trials of the study.
        best: The best trial and the rung that it is best on; None if none has figures.
        finals: The best and its rivals, trained under the same time, by name.
        seconds: Spent, summed over resumes.
        data: What a report says of the text.
        interrupted: Number of the signal that stopped it, or None.
    """

    folder: Path
    plan: TunePlan
    trials: list[Record]
    best: tuple[Record, int] | None
    finals: Mapping[str, Final] = field(default_factory=dict)
    seconds: float = 0.0
    data: Mapping[str, Any] = field(default_factory=dict)
    interrupted: int | None = None


def tune(
    corpus: Corpus,
    plan: TunePlan,
    out: str | Path,
    limits: Limits,
    *,
    storage: str | None = None,
    study: str = "rnnlm",
    resume: bool = False,
    watcher: Watcher | None = None,
    started: float | None = None,
    command: str = "",
) -> Tuning:
    """Search for settings, then train the best beside its rivals.

    Args:
        corpus: The text; its test part, if it has one, is left alone.
        plan: What to search.
        out: Folder for all of it; must be new unless `resume` is set.
        limits: When to end.
        storage: Path of a journal or URL of a database; a journal in `out` if absent.
        study: Name of the study in the storage.
        resume: Go on with what is in `out`.
        watcher: Told what happens.
        started: `time.monotonic()` at which the time begins; now if absent.
        command: What was typed, for the record.

    Returns:
        All trials; after SIGINT or SIGTERM those there are by then.

    Raises:
        ConfigError: Limits that leave no room for a trial.
        FolderError: `out` exists, is in use, damaged or cannot be written.
        ResumeError: The folder or the study is of another search.
        StorageError: The storage cannot be reached, or went away.
        TrainingError: No trial can be trained.
    """
    started = time.monotonic() if started is None else started
    watcher = SilentWatcher() if watcher is None else watcher
    check_limits(plan.rungs, 1 + len(plan.rivals), limits)
    lock = RunFolder(out, resume)
    try:
        folder = TuneFolder(lock.path)
        _enter(folder, corpus, plan, storage, study, command)
        with SignalFlag() as flag:
            search = _Search(folder, limits, flag, watcher, started)
            try:
                return search.go()
            except StorageError as error:
                raise StorageError(
                    f"{error} All that was finished is in '{lock.path}'. Mend the "
                    "storage, then go on with --resume."
                ) from error
            except OSError as error:
                if lock.path.is_dir():
                    raise
                raise FolderError(
                    f"'{lock.path}' went away while it was searched in "
                    f"({error.strerror}). Begin anew with another --out."
                ) from error
    finally:
        lock.close()


def check_limits(rungs: Rungs, finals: int, limits: Limits, gone: float = 0.0) -> None:
    """Raise `ConfigError` unless a trial and so many final runs have room.

    Args:
        rungs: Budgets.
        finals: Number of final runs.
        limits: When the search ends.
        gone: Seconds of its time that are over.
    """
    if limits.workers < 1:
        raise ConfigError(f"--workers takes 1 or more; received {limits.workers}.")
    if limits.minutes is None and limits.trials is None:
        raise ConfigError("A search needs an end: give --minutes or --trials.")
    seconds = rungs.seconds
    if limits.minutes is None or seconds is None:
        return
    least = finals * seconds[-1] + seconds[rungs.first(0)]
    if 60 * limits.minutes - gone < least:
        over = f" and {gone:.0f} s are over" if gone >= 1 else ""
        raise ConfigError(
            f"--minutes {limits.minutes:g} leaves no room: {finals} final runs and one "
            f"trial take {least / 60:.3g}{over}. Give more --minutes, or less "
            "--trial-minutes."
        )


def _enter(
    folder: TuneFolder,
    corpus: Corpus,
    plan: TunePlan,
    storage: str | None,
    study: str,
    command: str,
) -> None:
    """Begin a search in a folder, or make sure that the one in it is this one."""
    if folder.begun:
        check_same(folder.plan.to_dict(), plan, f"'{folder.path}'")
        if storage is not None and _place(storage) != folder.storage:
            raise ResumeError(
                f"The search in '{folder.path}' keeps its trials elsewhere than in "
                "the --storage of this command. Leave --storage out."
            )
        return
    # Compiles the kernels where they never were: in no trial's time.
    made_on = environment()
    write_corpus(corpus, folder.path / FOLDER)
    if storage is not None:
        # Before the folder has a plan: that of another would be refused ever after.
        settled = Study(storage, study).settle(plan.to_dict())
        check_same(settled, plan, f"study '{study}'")
    data = {k: v for k, v in corpus.describe().items() if k != "test"}
    folder.begin(
        plan,
        storage=storage,
        study=study,
        data=data,
        environment=made_on,
        command=command,
    )


def _place(storage: str) -> str:
    return storage if "://" in storage else str(Path(storage).resolve())


class _Search:
    def __init__(
        self,
        folder: TuneFolder,
        limits: Limits,
        flag: SignalFlag,
        watcher: Watcher,
        started: float,
    ) -> None:
        self.folder, self.limits, self.flag = folder, limits, flag
        self.watcher, self.started = watcher, started
        self.spent = folder.spent
        self.plan = folder.plan

    def clock(self) -> float:
        """Return seconds spent, summed over resumes; and keep them."""
        seconds = self.spent + time.monotonic() - self.started
        self.folder.spent = seconds
        return seconds

    def go(self) -> Tuning:
        """Search, then train the best and its rivals."""
        study = open_study(self.folder, self.watcher.note)
        self.work()
        trials = study.trials()
        best = best_of(trials)
        if self.flag.number is not None or best is None:
            return self.result(trials, best)
        finals = run_finals(
            self.folder, best[0].params, self.flag, self.watcher, self.clock
        )
        return self.result(trials, best, finals)

    def result(
        self,
        trials: list[Record],
        best: tuple[Record, int] | None,
        finals: Mapping[str, Final] | None = None,
    ) -> Tuning:
        return Tuning(
            self.folder.path,
            self.plan,
            trials,
            best,
            finals or {},
            self.clock(),
            self.folder.data,
            self.flag.number,
        )

    def of_finals(self) -> float:
        """Return seconds to set aside for final runs; 0 where budgets are steps."""
        seconds = self.plan.rungs.seconds
        return 0.0 if seconds is None else runs_left(self.folder) * seconds[-1]

    def work(self) -> None:
        """Let workers search until they have ended, or are stopped."""
        until = None
        if self.limits.minutes is not None:
            left = 60 * self.limits.minutes - self.spent - self.of_finals()
            until = self.started + left
        told: queue.Queue[tuple[int, dict[str, Any] | None]] = queue.Queue()
        children = []
        for cores in shares(self.limits.workers):
            task = {
                "folder": str(self.folder.path),
                "cores": cores,
                "started": self.started,
                "spent": self.spent,
                "until": until,
                "trials": self.limits.trials,
                # Those of this command: no folder may name code to run.
                "imports": [str(path) for path in imported_files()],
            }
            children.append(Child(tune_worker.MODULE, task, listen=True))
        for number, child in enumerate(children):
            listener = threading.Thread(
                target=_listen, args=(number, child, told), daemon=True
            )
            listener.start()
        try:
            self.listen(children, told)
        finally:
            for child in children:
                child.stop()
            for child in children:
                if child.wait(_LONGEST_END) is None:
                    child.kill()
                    child.wait()
                child.close()

    def listen(
        self,
        children: list[Child],
        told: "queue.Queue[tuple[int, dict[str, Any] | None]]",
    ) -> None:
        """Pass on what workers tell; stop all once one of them cannot go on."""
        running, stopping = len(children), False
        wrong: Exception | None = None
        while running:
            if (self.flag.number is not None or wrong) and not stopping:
                stopping = True
                for child in children:
                    child.stop()
            self.clock()
            try:
                number, event = told.get(timeout=_TICK)
            except queue.Empty:
                continue
            if event is None:
                running -= 1
                code = children[number].wait()
                if code and not stopping and wrong is None:
                    wrong = RuntimeError(f"A worker ended with code {code}.")
            elif event["event"] == "error":
                wrong = wrong or _error(event)
            else:
                self.watcher.event(number, event)
        if wrong is not None:
            raise wrong


def _listen(
    number: int,
    child: Child,
    told: "queue.Queue[tuple[int, dict[str, Any] | None]]",
) -> None:
    for event in child.messages():
        told.put((number, event))
    told.put((number, None))


def _error(event: Mapping[str, Any]) -> RNNLMError:
    kinds = {"StorageError": StorageError, "FolderError": FolderError}
    return kinds.get(event["kind"], TrainingError)(event["message"])
