"""A worker of a search: takes trials, climbs the rungs with each, and tells of them.

Started as `python -m keras_rnnlm.search.tune_worker TASK` (JSON: `folder`, `cores`,
`started`, `spent`, `until`, `trials`, `imports`). It answers in lines of JSON on its
standard output, each with an `event`. Trainings are processes of their own: one that
runs out of memory takes nothing with it.

A trial that was under way when a search ended is gone on with: it keeps its number, and
its training its checkpoint. A file lock says which worker has it, and goes with the
process however that ends.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from math import inf, isfinite
from pathlib import Path
from typing import Any, BinaryIO

from keras_rnnlm.config import Settings
from keras_rnnlm.errors import ConfigError, FolderError, RNNLMError, TrainingError
from keras_rnnlm.file_lock import try_lock
from keras_rnnlm.files import json_bytes, write_file
from keras_rnnlm.own_code import import_file
from keras_rnnlm.search import tune_trial
from keras_rnnlm.search.children import (
    Child,
    leave_interrupts_to_parent,
    specification_of,
    when_parent_ends,
)
from keras_rnnlm.search.finals import runs_left
from keras_rnnlm.search.near import inside, near_point
from keras_rnnlm.search.space import point_of
from keras_rnnlm.search.study import (
    FAILURE,
    SAME,
    Record,
    State,
    Study,
    losses_on,
    next_rung,
    seconds_a_step,
    unfinished,
)
from keras_rnnlm.search.trial_records import (
    folder_of,
    perplexity_of,
    tidy,
    write_record,
)
from keras_rnnlm.search.tune_corpus import FOLDER
from keras_rnnlm.search.tune_failures import hopeless_after, how_it_ended
from keras_rnnlm.search.tune_folder import TuneFolder
from keras_rnnlm.search.tune_plan import NEAR
from keras_rnnlm.training.run_folder import REPORT

MODULE = "keras_rnnlm.search.tune_worker"
CLAIM, CREATE = ".claim", ".create"
LATE, GRACE = 3.0, 30.0
"""Times its budget, and seconds, after which a training is stopped: what cannot even
compile, take a step and be evaluated in its time is too large for it."""
EXHAUSTED = 20
"""Draws of points that were there already, one after the other."""


def main() -> None:
    """Work until there is no time, no trial left, or no parent."""
    leave_interrupts_to_parent()
    task = specification_of()
    answers = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no answer

    def tell(event: str, **facts: Any) -> None:
        with suppress(BrokenPipeError):  # nobody listens any more; we end soon
            os.write(answers, (json.dumps({"event": event, **facts}) + "\n").encode())

    try:
        worker = Worker(task, tell)
        when_parent_ends(worker.stop)
        worker.go()
    except RNNLMError as error:
        tell("error", kind=type(error).__name__, message=str(error))
        sys.exit(2)
    except OSError as error:  # a full disk, a folder that went away
        if not error.strerror:
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        cure = "Mend that, then go on with --resume."
        if not Path(task["folder"]).is_dir():
            cure = "Begin anew with another --out."
        message = (
            f"The search in '{task['folder']}' cannot go on: {where}{error.strerror}. "
            f"{cure}"
        )
        tell("error", kind=FolderError.__name__, message=message)
        sys.exit(2)


class Worker:
    """One of those that share a study."""

    def __init__(self, task: Mapping[str, Any], tell: Any) -> None:
        """Open the study.

        Args:
            task: See the module.
            tell: Called with an event and its facts.
        """
        self.imports = task["imports"]
        for file in self.imports:
            import_file(Path(file))  # a recipe may name a cell that it registers
        self.folder = TuneFolder(Path(task["folder"]))
        self.plan, self.owner = self.folder.plan, self.folder.owner
        where, name = self.folder.storage, self.folder.study_name
        self.study = Study(where, name, make=False)
        self.tell = tell
        self.cores, self.most = task["cores"], task["trials"]
        self.started, self.spent = task["started"], task["spent"]
        self.until = inf if task["until"] is None else task["until"]
        self.finals = runs_left(self.folder)
        self._stopped = threading.Event()
        self._child: Child | None = None
        self._repeated = 0

    def stop(self) -> None:
        """End soon: the training writes a checkpoint, the trial stays as it is."""
        self._stopped.set()
        child = self._child
        if child is not None:
            child.stop()

    def go(self) -> None:
        """Take trial after trial."""
        while not self._stopped.is_set() and self._repeated < EXHAUSTED:
            with self._next() as number:
                if number is None:
                    return
                self._climb(number)
        if self._repeated >= EXHAUSTED:
            self.tell("note", message="There are no other settings left to try.")

    @contextmanager
    def _next(self) -> Iterator[int | None]:
        """Claim a trial that was begun and that nobody has; None if there is none.

        Where there is none a new one is begun and looked for: another worker may have
        claimed it by then.
        """
        while True:
            for trial in self.study.trials():
                if not unfinished(trial, self.owner) or not self._in_time(
                    self._coming(trial)
                ):
                    continue
                with self._claim(trial) as mine:
                    # Somebody may have ended it since the list was made.
                    if mine and unfinished(self.study.trial(trial.number), self.owner):
                        yield trial.number
                        return
            if not self._create():
                yield None
                return

    def _create(self) -> bool:
        """Begin a trial; False if there shall be no more."""
        path = self.folder.path / CREATE
        with path.open("ab") as lock:
            while not try_lock(lock):
                time.sleep(0.01)
            count = len(self.study.trials())
            first = self.plan.rungs.first(count)
            enough = self.most is not None and count >= self.most
            if enough or not self._in_time(first):
                return False
            write_record(self.folder.path, self.study.create(self.owner))
            return True

    @contextmanager
    def _claim(self, trial: Record) -> Iterator[bool]:
        folder = folder_of(self.folder.path, trial)
        folder.mkdir(parents=True, exist_ok=True)
        lock: BinaryIO
        with (folder / CLAIM).open("ab") as lock:
            yield try_lock(lock)

    def _coming(self, trial: Record) -> int:
        return min(next_rung(trial, self.plan.rungs), self.plan.rungs.last)

    def _in_time(self, rung: int) -> bool:
        """Whether a rung would be finished before the search has to end.

        Where budgets are steps, their time, and that of the final runs, is what steps
        have taken so far.
        """
        rungs = self.plan.rungs
        if rungs.seconds is not None:
            return time.monotonic() + rungs.seconds[rung] <= self.until
        if self.until == inf:
            return True
        finals = self.finals * rungs.budgets[-1]
        each = seconds_a_step(self.study.trials())
        return time.monotonic() + each * (rungs.budgets[rung] + finals) <= self.until

    def _at(self) -> float:
        """Seconds of the search, summed over resumes."""
        return float(self.spent + time.monotonic() - self.started)

    def _climb(self, number: int) -> None:
        """Train a trial on rung after rung, as long as it is among the best."""
        plan, rungs = self.plan, self.plan.rungs
        point = self.study.choose(
            number, plan.space, plan.sampler, plan.seed, self._wanted(number)
        )
        if (twin := self._twin(number, point)) is not None:
            self._repeated += 1
            reason = f"The same settings as trial {twin}."
            self._end(number, State.FAIL, **{SAME: twin, FAILURE: reason})
            return
        self._repeated = 0
        while not self._stopped.is_set():
            trial = self._recorded(number)
            if not trial.intermediate_values:
                rung = rungs.first(number)
            else:
                rung = max(trial.intermediate_values)
                loss = trial.intermediate_values[rung]
                known = losses_on(self.study.trials(), rung)
                others = [
                    value
                    for other, value in known.items()
                    if other != number and rungs.compete(number, other)
                ]
                if rung == rungs.last and isfinite(loss):
                    return self._end(number, State.COMPLETE)
                # The recipe is what all others are held against, to the end.
                recipe = number == 0 and plan.first_point is not None and isfinite(loss)
                if not recipe and not rungs.goes_on(rung, loss, others):
                    return self._end(number, State.PRUNED)
                rung += 1
            if not self._in_time(rung):
                self.tell("waits", number=number, rung=rung)
                return None
            try:
                settings = plan.trial_settings(point, rung)
            except ConfigError as error:
                return self._fail(number, rung, str(error), impossible=True)
            self.tell("begin", number=number, rung=rung, point=point)
            if not self._train(number, rung, settings):
                return None
        return None

    def _wanted(self, number: int) -> dict[str, Any] | None:
        """Return the point that a trial is to have; None if the study draws it."""
        plan = self.plan
        if plan.sampler != NEAR:
            return plan.first_point if number == 0 else None
        start = inside(plan.space, point_of(plan.settings, plan.space))
        if number == 0:
            return start
        trials = self.study.trials()
        return near_point(plan.space, start, trials, plan.seed, number)

    def _train(self, number: int, rung: int, settings: Settings) -> bool:
        """Train on a rung and report; whether there are figures."""
        trial = self.study.trial(number)
        run = folder_of(self.folder.path, trial) / f"rung{rung}"
        code: int | None = 0
        if not (run / REPORT).is_file():
            seconds = self.plan.rungs.seconds
            limit = LATE * seconds[rung] + GRACE if seconds else None
            code = self._run(run, settings, limit)
            if self._stopped.is_set():
                return False  # to be gone on with; or finished, to be found so then
            if code is None and not (run / REPORT).is_file():
                reason = f"Stopped: it did not end in {limit:.0f} s."
                self._fail(number, rung, reason, impossible=True)
                return False
        if (run / REPORT).is_file():
            report = json.loads((run / REPORT).read_text("utf-8"))
            self._report(number, rung, report, run)
            return True
        failure = tune_trial.failure_path(run)
        if not failure.is_file():
            self._fail(number, rung, how_it_ended(code, run))
            return False
        told = json.loads(failure.read_text("utf-8"))
        failure.unlink()
        if told["kind"] == tune_trial.FATAL:
            raise TrainingError(
                f"Trial {number} cannot be trained. {told['message']} Then go on with "
                "--resume."
            )
        self._fail(number, rung, told["message"], impossible=True)
        return False

    def _run(self, run: Path, settings: Settings, limit: float | None) -> int | None:
        """Let a process train in a folder; return its exit code.

        Args:
            run: The folder.
            settings: To train with.
            limit: Seconds after which it is stopped, and None is returned; or None.
        """
        task = {
            "settings": settings.to_dict(),
            "folder": str(run),
            "corpus": str(self.folder.path / FOLDER),
            "cores": self.cores,
            "started": time.monotonic(),
            "imports": self.imports,
        }
        write_file(run.with_name(f"{run.name}.json"), json_bytes(task))
        log = run.with_name(f"{run.name}.log")
        child = Child(tune_trial.MODULE, task, log)
        self._child = child
        if self._stopped.is_set():  # between the last look and now
            child.stop()
        try:
            code = child.wait(limit)
            if code is None:
                child.stop()
                if child.wait(GRACE) is None:
                    child.kill()
                    child.wait()
            return code
        finally:
            self._child = None
            child.close()

    def _report(self, number: int, rung: int, report: Any, run: Path) -> None:
        loss = float(report["valid"]["loss"])
        facts = {
            "at": round(self._at(), 1),
            "seconds": report["seconds"],
            "parameters": report["parameters"],
            "steps": report["schedule"]["steps"],
            "epochs": round(report["epochs"], 3),
            "cores": report["environment"]["cores"],
        }
        self.study.report(number, rung, loss, facts)
        self._recorded(number)
        tidy(run)
        perplexity = perplexity_of(loss)
        self.tell("rung", number=number, rung=rung, perplexity=perplexity, **facts)

    def _fail(
        self, number: int, rung: int, reason: str, impossible: bool = False
    ) -> None:
        """End a trial without figures on a rung.

        Args:
            number: Of the trial.
            rung: Which it did not finish.
            reason: For people.
            impossible: Whether its settings are to blame: then the sampler learns that
                they are worse than all that have figures.
        """
        if impossible:
            self.study.report(number, rung, inf, {"at": round(self._at(), 1)})
        state = State.PRUNED if impossible else State.FAIL
        self._end(number, state, **{FAILURE: reason})
        if failed := hopeless_after(self.study.trials()):
            raise TrainingError(
                f"The first {failed} trials have all failed, the last of them so: "
                f"{reason}"
            )

    def _end(self, number: int, state: State, **facts: Any) -> None:
        self.study.end(number, state, **facts)
        self._recorded(number)
        self.tell("end", number=number, state=state.name, reason=facts.get(FAILURE))

    def _recorded(self, number: int) -> Record:
        trial = self.study.trial(number)
        write_record(self.folder.path, trial)
        return trial

    def _twin(self, number: int, point: Mapping[str, Any]) -> int | None:
        """Return an earlier trial of the same point."""
        for trial in self.study.trials()[:number]:
            if trial.params == point and SAME not in trial.user_attrs:
                return trial.number
        return None


if __name__ == "__main__":
    main()
