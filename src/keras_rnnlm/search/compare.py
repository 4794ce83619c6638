"""The comparison: trials, then final runs, one after the other in one folder.

    OUT/
    ├── comparison.json     every run with its figures and hashes, written after each
    ├── losses/             losses by block of the test text, for the paired tests
    ├── lstm-trial0/ ...    trials: ordinary runs of training that see no test text
    └── lstm-seed0/ ...     final runs: model folders

Whatever has finished is not done again by a comparison that goes on in the same folder,
so that it may be interrupted at any time, and be given more seeds or models later.
"""

import gc
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from keras_rnnlm.code_hash import code_hash
from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.search.contestants import NGRAM
from keras_rnnlm.search.plan import Plan
from keras_rnnlm.search.running import Task, identity_of, run_network, run_ngram
from keras_rnnlm.search.runs import FINAL, TRIAL, Records, Run
from keras_rnnlm.search.trials import orders, trial_settings
from keras_rnnlm.training.identity import check_identity, environment
from keras_rnnlm.training.reporter import Reporter, SilentReporter
from keras_rnnlm.training.run_folder import RunFolder
from keras_rnnlm.training.signals import Interrupted, SignalFlag


class Observer(Protocol):
    """Told what a comparison does; printing is somebody else's work."""

    def begin(self, number: int, total: int, task: Task) -> Reporter:
        """A run begins, number `number` of `total`; the reporter is told of it."""

    def end(self, run: Run) -> None:
        """A run has ended, or failed."""

    def note(self, sentence: str) -> None:
        """Something worth knowing happened."""


class SilentObserver:
    """An observer that says nothing."""

    def begin(self, number: int, total: int, task: Task) -> Reporter:
        """Ignore."""
        return SilentReporter()

    def end(self, run: Run) -> None:
        """Ignore."""

    def note(self, sentence: str) -> None:
        """Ignore."""


@dataclass(frozen=True)
class Comparison:
    """What a comparison left behind.

    Attributes:
        records: All runs.
        models: Names of the contestants.
        interrupted: Number of the signal that stopped it, or None.
    """

    records: Records
    models: tuple[str, ...]
    interrupted: int | None = None


def compare(
    corpus: Corpus,
    plan: Plan,
    out: str | Path,
    *,
    resume: bool = False,
    observer: Observer | None = None,
    command: str = "",
) -> Comparison:
    """Train all models of a plan on a corpus, one run after the other.

    Args:
        corpus: The text.
        plan: What to run, from `make_plan`.
        out: Folder for all runs; must be new unless `resume` is set.
        resume: Keep the runs that are there and go on.
        observer: Told what happens.
        command: What was typed, for the record.

    Returns:
        The runs; after SIGINT or SIGTERM those that are finished.

    Raises:
        FolderError: `out` exists, is in use, damaged or cannot be written.
        ResumeError: A run that is there has other settings or other text.
    """
    folder = RunFolder(out, resume)
    try:
        facts = {
            "command": command,
            "plan": plan.to_dict(),
            "data": corpus.describe(),
            "code": code_hash(),
            "environment": environment(),
        }
        records = Records(folder.path, facts)
        with SignalFlag() as flag:
            work = _Work(corpus, plan, records, flag, observer or SilentObserver())
            try:
                work.go()
            except Interrupted as stopped:
                return Comparison(records, plan.models, stopped.number)
        records.write()
        return Comparison(records, plan.models)
    finally:
        folder.close()


class _Work:
    def __init__(
        self,
        corpus: Corpus,
        plan: Plan,
        records: Records,
        flag: SignalFlag,
        observer: Observer,
    ) -> None:
        self.corpus, self.plan, self.records = corpus, plan, records
        self.flag, self.observer = flag, observer
        self.number = 0
        self.told_of_code = False

    def go(self) -> None:
        """Do all trials, then the final runs, all models with one seed first."""
        best = {model: self.best_trial(model) for model in self.plan.models}
        for seed in self.plan.seeds:
            for model in self.plan.models:
                if model == NGRAM and seed != self.plan.seeds[0]:
                    continue
                trial, settings = best[model]
                if isinstance(settings, Settings):
                    settings = settings.replace(seed=seed)
                self.run(Task(model, FINAL, trial, settings, seed))

    def best_trial(self, model: str) -> tuple[int, Settings | int]:
        """Return number and settings of the trial that validated best."""
        tried = []
        for trial, settings in enumerate(self.trials_of(model)):
            run = self.run(Task(model, TRIAL, trial, settings, self.plan.trial_seed))
            tried.append((run.valid_nats, trial, settings))
        if not tried:
            return 0, self.plan.settings.get(model, self.plan.order)
        _, trial, settings = min(tried, key=lambda row: row[:2])
        return trial, settings

    def trials_of(self, model: str) -> list[Settings | int]:
        """Return the settings of each trial of a model."""
        plan, seed = self.plan, self.plan.trial_seed
        if model == NGRAM:
            return list(itertools.islice(orders(plan.order), plan.trials))
        start = plan.settings[model].replace(seed=seed)
        return [trial_settings(start, trial, seed) for trial in range(plan.trials)]

    def run(self, task: Task) -> Run:
        """Do a run, unless it is there; return its record."""
        self.flag.check()
        self.number += 1
        facts = self.records.facts
        identity = identity_of(task, self.corpus, facts)
        known = self.records.find(task.name)
        if known is not None:
            check_identity(known.identity, identity, self.records.folder / task.name)
            self._tell_of_code(known, facts)
            return known
        reporter = self.observer.begin(self.number, self.plan.total_runs, task)
        if task.model == NGRAM:
            run, blocks = run_ngram(task, self.corpus, identity, self.flag.check)
        else:
            folder = self.records.folder / task.name
            run, blocks = run_network(
                task, self.corpus, identity, folder, reporter, self.flag.check
            )
        self.records.add(run, blocks)
        self.observer.end(run)
        gc.collect()  # networks and optimizers refer to themselves
        return run

    def _tell_of_code(self, known: Run, facts: dict[str, Any]) -> None:
        if known.identity["code"] != facts["code"] and not self.told_of_code:
            self.told_of_code = True
            self.observer.note(
                "Some runs that are there were made by other code of keras-rnnlm than "
                "this one; comparison.json says by which."
            )
