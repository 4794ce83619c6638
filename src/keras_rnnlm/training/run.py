"""A run: set up, trained on `fit`, evaluated, written; `train` begins or resumes it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.noising import Noising
from keras_rnnlm.data.resegmentation import Resegmentation
from keras_rnnlm.files import CARD, CHECKPOINT
from keras_rnnlm.language_model import LanguageModel
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.folder import json_bytes, parameter_count, save_folder
from keras_rnnlm.models.weights import assign_weights
from keras_rnnlm.scoring.protocols import DEFAULT_LANES
from keras_rnnlm.scoring.tuned_files import write_tuned
from keras_rnnlm.training.batches import (
    make_batches,
    make_noising,
    make_resegmentation,
)
from keras_rnnlm.training.building import (
    compile_for,
    make_network,
    rate_setter,
    release_vectors,
    with_first_weights,
)
from keras_rnnlm.training.checkpoint_writer import CheckpointWriter
from keras_rnnlm.training.checkpoints import (
    Checkpoint,
    restore,
)
from keras_rnnlm.training.final_evaluation import FinalEvaluation, protocol_of_run
from keras_rnnlm.training.final_system import FinalSystem
from keras_rnnlm.training.identity import (
    environment,
)
from keras_rnnlm.training.loop import TrainingLoop, wall_clock
from keras_rnnlm.training.model_card import model_card
from keras_rnnlm.training.reporter import Reporter
from keras_rnnlm.training.run_folder import REPORT, RunFolder
from keras_rnnlm.training.schedules import ClockPace, Knot, StepPace
from keras_rnnlm.training.signals import Interrupted, SignalFlag
from keras_rnnlm.training.validation import Validator, note_of_validation
from keras_rnnlm.training.word_vectors import (
    StartingVectors,
    frozen_steps,
)

_LITTLE = 0.25
"""Share of a timed run below which a user is told how little is left for training."""


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
    command: Sequence[str] | None = None

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
        batches = self.batches(noising)
        frozen_until = frozen_steps(self.settings, batches.batches_per_epoch)
        step = 0 if checkpoint is None else checkpoint.meta["step"]
        network = self.compiled(batches, frozen=step <= frozen_until)
        valid = self.corpus.valid
        protocol = self.settings.evaluation_protocol
        validator = None if valid is None else Validator(valid, protocol)
        repeated = (schedule or {}).get("protocol")
        final = FinalEvaluation(self.corpus, self.settings, repeated)
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
            CheckpointWriter(self.folder.path, None if checkpoint is None else step),
            frozen_until=frozen_until,
            validation_seconds=self.seconds_of_validation(validator, network),
        )
        if checkpoint is None:
            self.folder.cut_log(0)
        else:
            restore(network, checkpoint.arrays)
            self.folder.cut_log(checkpoint.meta["log_size"])
            loop.resume(checkpoint)
        self.reporter.start(self.summary(network, batches, pace, loop.step))
        begun = clock() if checkpoint is None else None
        idle = note_of_validation(valid, self.settings)
        for note in (batches.note, idle, *notes_of_time(self, pace, begun)):
            if note:
                self.reporter.note(note)
        loop.paused = step == frozen_until
        loop.set_model(network)  # `fit` would, but a run may resume in a pause
        while not loop.complete:
            if loop.paused:
                release_vectors(network, self.settings)
                loop.go_on(rate_setter(network))
            stream = self.batches(noising, loop.step)
            callbacks = [*self.callbacks(network, loop), loop]
            network.fit(stream, epochs=1, verbose=0, callbacks=callbacks)
            if not loop.paused:
                break
        loop.writer.close()
        if not loop.complete:
            return self._interrupted()
        try:
            return self.finish(loop, final, system, clock, identity, network)
        except Interrupted:
            return self._interrupted()

    def batches(self, noising: Noising | None, start: int = 0) -> Any:
        """Return the endless batches of the run from its step `start` on."""
        return make_batches(
            self.corpus.train, self.settings, noising, start, self.resegmentation
        )

    @cached_property
    def resegmentation(self) -> Resegmentation | None:
        """What segments the text anew in each epoch, or None."""
        corpus = self.corpus
        return make_resegmentation(self.settings, corpus.train, corpus.tokenizer)

    def network(self, dtype: str | None = None) -> CausalLM:
        """Return a new network of the run's shape."""
        return make_network(self.settings, self.corpus, self.vectors, dtype)

    def begun(self, frozen: bool) -> CausalLM:
        """Return the network as training begins with it.

        Args:
            frozen: Whether its word vectors are not trained at first.
        """
        network = self.network(self.settings.precision)
        return with_first_weights(
            network, self.settings, self.corpus, self.vectors, frozen
        )

    def compiled(self, batches: Any, frozen: bool) -> CausalLM:
        """Return the network, ready to be trained on such batches."""
        network = self.begun(frozen)
        compile_for(network, self.settings, self.optimizer, batches)
        return network

    def evaluated(self, network: CausalLM) -> CausalLM:
        """Return a network of the precision that is evaluated at the end.

        Args:
            network: Taken if it has it.
        """
        return network if network.compute_dtype == "float32" else self.network()

    def callbacks(self, network: CausalLM, loop: TrainingLoop) -> list[Any]:
        """Return what else of `fit` is told of every step; nothing here."""
        return []

    def kept(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the weights of the model from those that training kept."""
        return arrays

    def more_figures(self, network: CausalLM) -> dict[str, Any]:
        """Return what the report of a trained network has besides; nothing here."""
        return {}

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
            steps = schedule["steps"]
            planned = schedule.get("planned", steps)
            return StepPace(planned, knots, steps, schedule.get("validated"))
        if settings.minutes is not None:
            reserve += final.estimated_seconds(self.evaluated(network))
            deadline = max(1.0, 60.0 * settings.minutes - reserve)
            return ClockPace(deadline, shapes=len(batches.lengths))
        steps = settings.max_steps or settings.epochs * batches.batches_per_epoch
        return StepPace(steps)

    def seconds_of_validation(
        self, validator: Validator | None, network: CausalLM
    ) -> float:
        """Measure how long a validation of a timed run will take; 0 for other runs.

        They have to leave room for each other, and the last one ends the run.
        """
        if validator is None or self.settings.minutes is None:
            return 0.0
        return validator.estimated_seconds(network)

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
        network = self.network()
        assign_weights(network, self.kept(loop.best))
        figures = final.evaluate(network, self.flag.check)
        protocol = self.settings.evaluation_protocol
        model = LanguageModel(network, self.corpus.tokenizer, protocol)
        whole = None
        if system is not None:
            # Whatever becomes of the search: from now on there is a model.
            self.save(network)
            whole = system.measure(model, self.flag.check, self.reporter.note)
        report = {
            **figures,
            **self.more_figures(network),
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
            "schedule": schedule_of_loop(loop),
            "epochs": loop.step / loop.batches.batches_per_epoch,
            "best_step": loop.best_step,
            "averaged_since": loop.averaged_since,
            "finetuned_since": loop.finetuned_since,
            "vectors_trained_since": loop.released_at,
            "valid_estimate": _finite(loop.best_nats),
            "command": None if self.command is None else list(self.command),
            "environment": environment(),
            "seconds": clock(),
        }
        self.folder.draw(self.reporter.note)
        report["seconds"] = round(clock(), 3)
        card = model_card(report).encode("utf-8", "backslashreplace")
        self.save(network, {REPORT: json_bytes(report), CARD: card})
        if whole is not None:
            write_tuned(self.folder.path, whole.tuned, self.corpus.tokenizer)
        (self.folder.path / CHECKPOINT).unlink(missing_ok=True)
        self.reporter.finish(report)
        return TrainingResult(self.folder.path, report, model)

    def save(self, network: CausalLM, extra: Mapping[str, bytes] | None = None) -> None:
        """Write the model into the folder of the run, and further files."""
        protocol = self.settings.evaluation_protocol
        where, tokenizer = self.folder.path, self.corpus.tokenizer
        save_folder(where, network, tokenizer, protocol=protocol, extra=extra)


def notes_of_time(
    run: Run, pace: StepPace | ClockPace, begun: float | None
) -> list[str]:
    """Return what a user should know of a timed run before it trains.

    Args:
        run: It.
        pace: Its pace.
        begun: Seconds of its time that are over before the first step; None for a run
            that is gone on with.
    """
    minutes = run.settings.minutes
    if minutes is None or not isinstance(pace, ClockPace):
        return []
    notes = []
    protocol = protocol_of_run(run.corpus, run.settings)
    if protocol != run.settings.evaluation_protocol:
        notes.append(
            "To end in time, validation and test text are not read as one stream each "
            f"at the end but as {DEFAULT_LANES} (protocol {protocol}). For one stream "
            "give --set protocol=carry."
        )
    if begun is not None and pace.deadline - begun < _LITTLE * 60.0 * minutes:
        share = max(pace.deadline - begun, 0.0) / (60.0 * minutes)
        notes.append(
            f"Only {share:.0%} of the {minutes:g} minutes are left for training: the "
            "rest goes into the start and the figures at the end. Give more --minutes, "
            "or less text to validate and test on."
        )
    return notes


def schedule_of_loop(loop: TrainingLoop) -> dict[str, Any]:
    """Return what repeats the steps of a run that has ended, for its report."""
    schedule: dict[str, Any] = {
        "steps": loop.step,
        "knots": [[k.step, k.progress, k.rate] for k in loop.pace.knots],
        "validated": loop.validated,
    }
    # Rates are those of the run as it was planned, also where patience ended it.
    if isinstance(loop.pace, StepPace) and loop.pace.steps != loop.step:
        schedule["planned"] = loop.pace.steps
    return schedule


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
