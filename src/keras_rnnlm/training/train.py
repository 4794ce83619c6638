"""`train`: from a corpus and settings to a model folder; one loop, on top of `fit`."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import ResumeError
from keras_rnnlm.language_model import LanguageModel, load
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.ensemble_folder import is_ensemble, member_folders
from keras_rnnlm.models.folder import json_bytes, parameter_count, save_folder
from keras_rnnlm.models.weights import assign_weights
from keras_rnnlm.plots import training_curve
from keras_rnnlm.scoring.protocols import parse_protocol
from keras_rnnlm.scoring.tuned_files import write_tuned
from keras_rnnlm.training.batches import make_batches, make_noising
from keras_rnnlm.training.building import (
    compiled_network,
    make_network,
    rate_setter,
    release_vectors,
)
from keras_rnnlm.training.checkpoints import (
    NAME,
    Checkpoint,
    read_checkpoint,
    restore,
)
from keras_rnnlm.training.final_evaluation import FinalEvaluation
from keras_rnnlm.training.final_system import FinalSystem
from keras_rnnlm.training.identity import (
    check_identity,
    environment,
    environment_changes,
    run_identity,
)
from keras_rnnlm.training.loop import TrainingLoop, wall_clock
from keras_rnnlm.training.memory import check_memory
from keras_rnnlm.training.model_card import model_card
from keras_rnnlm.training.optimizers import build_optimizer
from keras_rnnlm.training.reporter import Reporter, SilentReporter
from keras_rnnlm.training.run_folder import REPORT, RunFolder
from keras_rnnlm.training.schedules import ClockPace, Knot, StepPace
from keras_rnnlm.training.signals import Interrupted, SignalFlag
from keras_rnnlm.training.validation import Validator
from keras_rnnlm.training.word_vectors import (
    StartingVectors,
    frozen_steps,
    known_vectors,
    read_starting_vectors,
)


@dataclass(frozen=True)
class TrainingResult:
    """What a run left behind.

    Attributes:
        folder: The model folder.
        report: What `report.json` holds; empty after an interruption.
        language_model: The model; None after an interruption.
        interrupted: Number of the signal that stopped the run, or None.
    """

    folder: Path
    report: dict[str, Any]
    language_model: LanguageModel | None
    interrupted: int | None = None


def train(
    corpus: Corpus,
    settings: Settings,
    out: str | Path,
    *,
    resume: bool = False,
    schedule: dict[str, Any] | None = None,
    reporter: Reporter | None = None,
    started: float | None = None,
) -> TrainingResult:
    """Train a model on a corpus and write its folder.

    Args:
        corpus: Training text; validation and test text where there are.
        settings: Of the model and the run.
        out: The model folder; must be new unless `resume` is set.
        resume: Go on from the folder's checkpoint; start over where there is none; do
            nothing where the run has finished.
        schedule: `schedule` of another run's report, to repeat it step by step.
        reporter: Told what happens.
        started: `time.monotonic()` at which a time budget begins; now when absent.

    Returns:
        The result; after SIGINT or SIGTERM with `interrupted` set, once a checkpoint
        is written.

    Raises:
        ConfigError: Settings that this corpus, machine or optimizer cannot meet.
        FolderError: `out` exists, is in use or cannot be written.
        ResumeError: `resume` with other data or settings.
        TrainingError: A loss or weight that is not a number.
    """
    started = time.monotonic() if started is None else started
    reporter = SilentReporter() if reporter is None else reporter
    if settings.protocol is not None:
        parse_protocol(settings.protocol)
    check_memory(settings, corpus.vocabulary_size)
    optimizer = build_optimizer(settings)
    # Before there is a folder, since the file may be of no use.
    vectors = None if resume else read_starting_vectors(settings, corpus, reporter)
    identity = run_identity(corpus, settings, schedule)
    folder = RunFolder(out, resume)
    try:
        _refuse_ensemble(folder.path)
        report = folder.report() if resume else None
        if report is not None:
            check_identity(
                {**report["identity"], "settings": report["settings"]}, identity, out
            )
            reporter.note(f"The run in '{out}' has finished; nothing to do.")
            return TrainingResult(folder.path, report, load(folder.path))
        checkpoint = read_checkpoint(folder.path) if resume else None
        if checkpoint is not None:
            check_identity(checkpoint.meta["identity"], identity, out)
            for sentence in environment_changes(checkpoint.meta["environment"]):
                reporter.note(sentence)
            vectors = known_vectors(checkpoint.meta["identity"])
        elif resume:
            reporter.note("There is no complete checkpoint; the run starts over.")
            vectors = read_starting_vectors(settings, corpus, reporter)
        identity["vectors"] = None if vectors is None else vectors.facts
        with SignalFlag() as flag:
            run = Run(corpus, settings, folder, flag, reporter, optimizer, vectors)
            return run.go(checkpoint, schedule, identity, started)
    finally:
        folder.close()


@dataclass(frozen=True)
class Run:
    """What a run is made of, and its parts."""

    corpus: Corpus
    settings: Settings
    folder: RunFolder
    flag: SignalFlag
    reporter: Reporter
    optimizer: Any
    vectors: StartingVectors | None = None

    def go(
        self,
        checkpoint: Checkpoint | None,
        schedule: dict[str, Any] | None,
        identity: dict[str, Any],
        started: float,
    ) -> TrainingResult:
        """Set up, train, evaluate, write."""
        spent = 0.0 if checkpoint is None else checkpoint.meta["seconds"]
        clock = wall_clock(spent, started)
        system = None
        if self.settings.system_minutes:
            system = FinalSystem(self.corpus, self.settings)
        noising = make_noising(self.settings, self.corpus)
        batches = make_batches(self.corpus.train, self.settings, noising)
        frozen_until = frozen_steps(self.settings, batches.batches_per_epoch)
        step = 0 if checkpoint is None else checkpoint.meta["step"]
        network = self.compiled(batches, frozen=step <= frozen_until)
        valid = self.corpus.valid
        validator = None if valid is None else Validator(valid)
        final = FinalEvaluation(self.corpus, self.settings.protocol)
        reserve = 0.0 if system is None else system.seconds
        pace = self.pace(batches, schedule, final, network, reserve)
        loop = TrainingLoop(
            self.settings,
            pace,
            batches,
            self.folder,
            self.flag,
            self.reporter,
            validator,
            clock,
            identity,
            environment(),
            rate_setter(network),
            frozen_until=frozen_until,
        )
        if checkpoint is None:
            self.folder.cut_log(0)
        else:
            restore(network, checkpoint.arrays)
            self.folder.cut_log(checkpoint.meta["log_size"])
            loop.resume(checkpoint)
        self.reporter.start(self.summary(network, batches, pace, loop.step))
        if batches.note:
            self.reporter.note(batches.note)
        loop.paused = step == frozen_until
        loop.set_model(network)  # `fit` would, but a run may resume in a pause
        while not loop.complete:
            if loop.paused:
                release_vectors(network, self.settings)
                loop.go_on(rate_setter(network))
            stream = make_batches(self.corpus.train, self.settings, noising, loop.step)
            network.fit(stream, epochs=1, verbose=0, callbacks=[loop])
            if not loop.paused:
                break
        loop.writer.close()
        if not loop.complete:
            return self._interrupted()
        try:
            return self.finish(loop, final, system, clock, identity, network)
        except Interrupted:
            return self._interrupted()

    def compiled(self, batches: Any, frozen: bool) -> CausalLM:
        """Return a new network, ready to be trained on such batches.

        Args:
            batches: Of the run.
            frozen: Whether its word vectors are not trained at first.
        """
        return compiled_network(
            self.settings, self.corpus, self.optimizer, batches, self.vectors, frozen
        )

    def pace(
        self,
        batches: Any,
        schedule: dict[str, Any] | None,
        final: FinalEvaluation,
        network: CausalLM,
        reserve: float,
    ) -> StepPace | ClockPace:
        """Return what turns steps into progress; `reserve` in seconds is left over."""
        settings = self.settings
        if schedule is not None:
            knots = [Knot(*knot) for knot in schedule["knots"]]
            return StepPace(schedule["steps"], knots)
        if settings.minutes is not None:
            reserve += final.estimated_seconds(network)
            return ClockPace(max(1.0, 60.0 * settings.minutes - reserve))
        steps = settings.max_steps or settings.epochs * batches.batches_per_epoch
        return StepPace(steps)

    def summary(
        self, network: CausalLM, batches: Any, pace: StepPace | ClockPace, step: int
    ) -> dict[str, Any]:
        """Return what `Reporter.start` is told."""
        settings = self.settings
        return {
            "cell": settings.cell if settings.network == "rnn" else settings.network,
            "units": settings.units,
            "layers": settings.layers,
            "parameters": parameter_count(network),
            "vocabulary_size": self.corpus.vocabulary_size,
            "tokenizer": self.corpus.tokenizer.kind,
            "train_tokens": self.corpus.train.counts.tokens_predicted,
            "batch_size": batches.batch_size,
            "steps": getattr(batches, "steps", None),
            "precision": settings.precision,
            "loops": network.planned_loops(),
            "output_loop": network.output_layer.planned_loop(),
            "device": environment()["device"],
            "minutes": settings.minutes,
            "max_steps": pace.steps if isinstance(pace, StepPace) else None,
            "resumed_at": step,
            "folder": str(self.folder.path),
        }

    def _interrupted(self) -> TrainingResult:
        return TrainingResult(self.folder.path, {}, None, self.flag.number)

    def finish(
        self,
        loop: TrainingLoop,
        final: FinalEvaluation,
        system: FinalSystem | None,
        clock: Callable[[], float],
        identity: dict[str, Any],
        trained: CausalLM,
    ) -> TrainingResult:
        """Evaluate the weights to keep, and write the model folder."""
        # In float32, whatever the precision of training.
        network = make_network(self.settings, self.corpus, self.vectors)
        assign_weights(network, loop.best)
        figures = final.evaluate(network, self.flag.check)
        model = LanguageModel(network, self.corpus.tokenizer, self.settings.protocol)
        whole = None
        if system is not None:
            whole = system.measure(model, self.flag.check, self.reporter.note)
        report = {
            **figures,
            "system": None if whole is None else whole.to_dict(),
            "settings": self.settings.to_dict(),
            "data": self.corpus.describe(),
            "vectors": identity["vectors"],
            "identity": {
                k: v for k, v in identity.items() if k not in ("settings", "vectors")
            },
            "parameters": parameter_count(network),
            "loops": trained.loops(),
            "output_loop": trained.output_layer.loop,
            "schedule": {
                "steps": loop.step,
                "knots": [[k.step, k.progress, k.rate] for k in loop.pace.knots],
            },
            "epochs": loop.step / loop.batches.batches_per_epoch,
            "best_step": loop.best_step,
            "averaged_since": loop.averaged_since,
            "finetuned_since": loop.finetuned_since,
            "vectors_trained_since": loop.released_at,
            "valid_estimate": _finite(loop.best_nats),
            "environment": environment(),
            "seconds": clock(),
        }
        training_curve(self.folder.history(), self.folder.path / "curve.png")
        report["seconds"] = round(clock(), 3)
        save_folder(
            self.folder.path,
            network,
            self.corpus.tokenizer,
            protocol=self.settings.protocol,
            extra={
                REPORT: json_bytes(report),
                "README.md": model_card(report).encode(),
            },
        )
        if whole is not None:
            write_tuned(self.folder.path, whole.tuned, self.corpus.tokenizer)
        (self.folder.path / NAME).unlink(missing_ok=True)
        self.reporter.finish(report)
        return TrainingResult(self.folder.path, report, model)


def schedule_of(report: dict[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """Return settings and schedule that repeat a finished run step by step.

    Raises:
        ResumeError: The report has none.
    """
    try:
        schedule = report["schedule"]
        settings = Settings.from_dict({**report["settings"], "minutes": None})
    except (KeyError, TypeError) as error:
        raise ResumeError(
            f"The report holds no schedule to repeat ({error} is missing)."
        ) from error
    return settings, schedule


def _refuse_ensemble(folder: Path) -> None:
    """Raise `ResumeError` where several members are or were trained."""
    if is_ensemble(folder):
        raise ResumeError(
            f"The run in '{folder}' is of several members; this command asks for one "
            f"model. Resume with --members {len(member_folders(folder))}, or train "
            "anew with another --out."
        )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
