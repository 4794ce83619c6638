"""The runs of an ensemble's members, and what steps them together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.resegmentation import Resegmentation
from keras_rnnlm.files import CARD, CHECKPOINT
from keras_rnnlm.models.ensemble_folder import member_folders
from keras_rnnlm.models.folder import json_bytes, write_file, write_manifest
from keras_rnnlm.scoring.tuned_ensemble import TunedEnsemble
from keras_rnnlm.scoring.tuned_files import write_tuned
from keras_rnnlm.training.batches import (
    make_batches,
    make_noising,
    make_resegmentation,
)
from keras_rnnlm.training.building import release_vectors
from keras_rnnlm.training.checkpoints import Checkpoint, restore
from keras_rnnlm.training.ensemble_card import ensemble_card
from keras_rnnlm.training.final_system import FinalSystem, SystemFigures
from keras_rnnlm.training.identity import environment
from keras_rnnlm.training.loop import wall_clock
from keras_rnnlm.training.member_checkpoints import MembersWriter
from keras_rnnlm.training.member_loop import CommonPace, MemberLoop
from keras_rnnlm.training.member_reporter import MembersReporter
from keras_rnnlm.training.members_evaluation import MembersEvaluation
from keras_rnnlm.training.optimizers import build_optimizer
from keras_rnnlm.training.reporter import Reporter
from keras_rnnlm.training.run import Run, TrainingResult, notes_of_time
from keras_rnnlm.training.run_folder import REPORT, RunFolder
from keras_rnnlm.training.schedules import ClockPace, StepPace
from keras_rnnlm.training.signals import Interrupted, SignalFlag
from keras_rnnlm.training.validation import Validator, note_of_validation
from keras_rnnlm.training.word_vectors import StartingVectors, frozen_steps

_OF_ALL = ("settings", "data", "vectors", "identity", "parameters", "command")
"""What the report of an ensemble has from that of its first member."""


@dataclass(frozen=True)
class EnsembleResult:
    """What a run of several members left behind.

    Attributes:
        folder: The folder of the ensemble; it holds the members' folders.
        report: What its `report.json` holds; empty after an interruption.
        members: The result of each member; empty after an interruption, and of a run
            that had finished before.
        interrupted: Number of the signal that stopped the run, or None.
    """

    folder: Path
    report: dict[str, Any]
    members: tuple[TrainingResult, ...] = ()
    interrupted: int | None = None


class EnsembleRun:
    """The members' runs, and what steps them together."""

    def __init__(
        self,
        corpus: Corpus,
        settings: list[Settings],
        folder: RunFolder,
        flag: SignalFlag,
        reporter: Reporter,
        vectors: StartingVectors | None,
        command: Sequence[str] | None = None,
        system: FinalSystem | None = None,
    ) -> None:
        """Remember what the run is of.

        Args:
            corpus: Training text; validation and test text where there are.
            settings: Of each member.
            folder: Of the ensemble.
            flag: Set by a signal.
            reporter: Told what happens.
            vectors: Word vectors that all members begin with.
            command: As of `train_members`.
            system: Searches what is added to all members together, or None.
        """
        self.corpus, self.settings, self.vectors = corpus, settings, vectors
        self.folder, self.flag, self.reporter = folder, flag, reporter
        self.command, self.system = command, system
        # What members see of a signal changes between steps only.
        self.seen = SignalFlag()
        self.told = MembersReporter(reporter, len(settings))
        self.writer = MembersWriter(folder.path, len(settings))

    def go(
        self,
        parts: list[Checkpoint] | None,
        schedule: dict[str, Any] | None,
        identities: list[dict[str, Any]],
        started: float,
        resume: bool,
    ) -> EnsembleResult:
        """Set up, train, evaluate, write.

        Args:
            parts: Checkpoints of the members to go on from.
            schedule: Of the report of a run that is repeated.
            identities: Of the members' runs.
            started: `time.monotonic()` at which the time began.
            resume: Whether folders of members may exist.
        """
        from keras_rnnlm.training.jax_members import Members

        spent = 0.0 if parts is None else max(p.meta["seconds"] for p in parts)
        clock = wall_clock(spent, started)
        folders = [RunFolder(f, resume) for f in member_folders(self.folder.path)]
        try:
            runs = [
                Run(
                    self.corpus,
                    own,
                    folder,
                    self.flag,
                    told,
                    build_optimizer(own),
                    self.vectors,
                    self.command,
                )
                for own, folder, told in zip(
                    self.settings, folders, self.told.parts, strict=True
                )
            ]
            noisings = [make_noising(own, self.corpus) for own in self.settings]
            passes = self._passes()
            batches = [
                make_batches(self.corpus.train, own, noising, 0, drawn)
                for own, noising, drawn in zip(
                    self.settings, noisings, passes, strict=True
                )
            ]
            begun = 0 if parts is None else max(p.meta["step"] for p in parts)
            self.frozen_until = frozen_steps(
                self.settings[0], batches[0].batches_per_epoch
            )
            frozen = begun <= self.frozen_until
            together = Members(
                run.compiled(own, frozen)
                for run, own in zip(runs, batches, strict=True)
            )
            repeated = (schedule or {}).get("protocol")
            final = MembersEvaluation(
                self.corpus, self.settings[0], len(runs), repeated
            )
            reserve = 0.0 if self.system is None else self.system.seconds
            network = together.network
            pace = runs[0].pace(batches[0], schedule, final, network, reserve)
            if isinstance(pace, ClockPace):
                pace = CommonPace(pace.deadline, pace.shapes)
            loops = self._loops(together, runs, batches, pace, clock, identities)
            if parts is None:
                for folder in folders:
                    folder.cut_log(0)
            else:
                self.writer.resume(parts)
                _resume(loops, parts)
            step = max(loop.step for loop in loops)
            summary = runs[0].summary(together.network, batches[0], pace, step)
            self.reporter.start(
                {**summary, "members": len(runs), "folder": str(self.folder.path)}
            )
            spent = clock() if parts is None else None
            idle = note_of_validation(self.corpus.valid, self.settings[0])
            timed = notes_of_time(runs[0], pace, spent)
            for note in (batches[0].note, idle, *timed):
                if note:
                    self.reporter.note(note)
            streams = [
                make_batches(self.corpus.train, own, noising, step, drawn)
                for own, noising, drawn in zip(
                    self.settings, noisings, passes, strict=True
                )
            ]
            self._train(together, loops, streams)
            if not all(loop.complete for loop in loops):
                return self._interrupted()
            try:
                return self._finish(runs, loops, final, together, clock, identities)
            except Interrupted:
                return self._interrupted()
        finally:
            for folder in folders:
                folder.close()

    def _passes(self) -> list[Resegmentation | None]:
        """Return what segments the text anew for each member, of the same words."""
        corpus = self.corpus
        first = make_resegmentation(self.settings[0], corpus.train, corpus.tokenizer)
        return [first and first.with_seed(own.seed) for own in self.settings]

    def _loops(
        self,
        together: Any,
        runs: list[Run],
        batches: list[Any],
        pace: StepPace | ClockPace,
        clock: Callable[[], float],
        identities: list[dict[str, Any]],
    ) -> list[MemberLoop]:
        valid = self.corpus.valid
        # One for all: it is compiled once, for the one network that they share.
        protocol = self.settings[0].evaluation_protocol
        validator = None if valid is None else Validator(valid, protocol)
        seconds = runs[0].seconds_of_validation(validator, together.network)
        return [
            MemberLoop(
                together,
                i,
                run.settings,
                pace,
                batches[i],
                run.folder,
                self.seen,
                run.reporter,
                validator,
                clock,
                identities[i],
                environment(),
                writer=self.writer.parts[i],
                frozen_until=self.frozen_until,
                validation_seconds=seconds,
                models=len(runs),
            )
            for i, run in enumerate(runs)
        ]

    def _train(
        self, together: Any, loops: list[MemberLoop], streams: list[Any]
    ) -> None:
        """Step until all members are at their end, or a signal has come."""
        index = 0
        try:
            while self.seen.number is None:
                running = {i for i, loop in enumerate(loops) if not loop.complete}
                if not running:
                    break
                if all(loops[i].step == self.frozen_until for i in running):
                    together.change(
                        lambda network: release_vectors(network, self.settings[0])
                    )
                    for i in sorted(running):
                        loops[i].go_on(together.rate_setter(i))
                self.writer.begin_step()
                for i in sorted(running):
                    loops[i].on_train_batch_begin(index)
                logs = together.step([stream[index] for stream in streams])
                self.seen.number = self.flag.number
                for i in sorted(running):
                    loops[i].on_train_batch_end(index, logs[i])
                if any(loops[i].has_validated() for i in running):
                    for loop in loops:
                        loop.leave_out_until_now()
                together.close()
                self.writer.end_step(running)
                self.told.flush(running)
                index += 1
        finally:
            self.writer.close()

    def _finish(
        self,
        runs: list[Run],
        loops: list[MemberLoop],
        final: MembersEvaluation,
        together: Any,
        clock: Callable[[], float],
        identities: list[dict[str, Any]],
    ) -> EnsembleResult:
        results = []
        for run, loop, identity in zip(runs, loops, identities, strict=True):
            self.flag.check()
            results.append(
                run.finish(loop, final, None, clock, identity, together.network)
            )
        whole = self._system(results)
        report = _report(results, final.together(), whole, clock())
        card = ensemble_card(report).encode("utf-8", "backslashreplace")
        write_file(self.folder.path / CARD, card)
        write_file(self.folder.path / REPORT, json_bytes(report))
        if whole is not None:
            write_manifest(self.folder.path)
        (self.folder.path / CHECKPOINT).unlink(missing_ok=True)
        self.reporter.finish(report)
        return EnsembleResult(self.folder.path, report, tuple(results))

    def _system(self, results: list[TrainingResult]) -> SystemFigures | None:
        """Search and measure what is added to all members, and keep what was found."""
        if self.system is None:
            return None
        models = [r.language_model for r in results if r.language_model is not None]
        told = self.flag.check, self.reporter.note
        whole = self.system.measure(TunedEnsemble(models), *told)
        if whole is None:
            return None
        # Before the report, which says that the run has finished.
        write_tuned(self.folder.path, whole.tuned, self.corpus.tokenizer)
        return whole

    def _interrupted(self) -> EnsembleResult:
        return EnsembleResult(self.folder.path, {}, interrupted=self.flag.number)


def _resume(loops: list[MemberLoop], parts: list[Checkpoint]) -> None:
    """Put members where a checkpoint left them."""
    pairs = list(zip(loops, parts, strict=True))
    # Those that had ended first: the schedule that all share is the others'.
    step = max(part.meta["step"] for part in parts)
    for loop, part in sorted(pairs, key=lambda pair: not pair[1].meta["complete"]):
        # One that had ended while vectors were frozen has an optimizer of its own, of
        # no use to any more: what it has reached is in its best weights.
        if part.meta["step"] > loop.frozen_until or step <= loop.frozen_until:
            restore(loop.model, part.arrays)
        loop.folder.cut_log(part.meta["log_size"])
        loop.resume(part)


def _report(
    results: list[TrainingResult],
    together: dict[str, Any],
    system: SystemFigures | None,
    seconds: float,
) -> dict[str, Any]:
    """Return the report of the ensemble.

    Args:
        results: Of the members.
        together: The figures of the mean of their probabilities.
        system: What evaluation adds to all of them, if that was asked for.
        seconds: Of the whole run.
    """
    first = results[0].report
    schedules = [result.report["schedule"] for result in results]
    return {
        **together,
        "system": None if system is None else system.to_dict(),
        "members": [
            {
                "folder": result.folder.name,
                "seed": result.report["settings"]["seed"],
                "best_step": result.report["best_step"],
                "valid": _perplexity(result.report["valid"]),
                "test": _perplexity(result.report["test"]),
            }
            for result in results
        ],
        **{key: first[key] for key in _OF_ALL},
        "schedule": max(schedules, key=lambda schedule: schedule["steps"]),
        "environment": environment(),
        "seconds": round(seconds, 3),
    }


def _perplexity(figures: dict[str, Any] | None) -> float | None:
    return None if figures is None else figures["perplexity"]
