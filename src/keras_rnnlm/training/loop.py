"""The training loop: a callback of `fit` that steers, logs, validates and keeps.

Position in the data, schedule and history live here and in checkpoints, counted in
completed steps: Keras fetches batches ahead, so what was fetched says nothing.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_rnnlm.config import Settings
from keras_rnnlm.errors import ProbabilityError, TrainingError
from keras_rnnlm.models.weights import named_weights
from keras_rnnlm.program_cache import publish_programs
from keras_rnnlm.training.averaging import (
    begin_average,
    begins_at,
    current_weights,
    is_triggered,
    with_weights,
)
from keras_rnnlm.training.checkpoint_writer import CheckpointWriter, Writer
from keras_rnnlm.training.checkpoints import Checkpoint, restore_metrics, snapshot
from keras_rnnlm.training.pending import number
from keras_rnnlm.training.reporter import Reporter
from keras_rnnlm.training.restart import restart
from keras_rnnlm.training.run_folder import RunFolder
from keras_rnnlm.training.schedules import ClockPace, Knot, StepPace, learning_rate
from keras_rnnlm.training.signals import SignalFlag
from keras_rnnlm.training.speed import Speed
from keras_rnnlm.training.validation import Validator
from keras_rnnlm.training.validation_plan import ValidationPlan
from keras_rnnlm.training.word_vectors import NOT_FROZEN

LOG_EVERY = 50  # steps
REPORT_EVERY = 0.25  # seconds


class TrainingLoop(keras.callbacks.Callback):
    """Everything of a run that is not a step of the optimizer.

    Attributes:
        step: Completed steps.
        complete: Whether training has reached its end.
        best: Weights to keep: the best validated, or the last without validation.
        best_nats: Their nats a token on the validation text.
        best_step: The step they are from.
        averaged_since: Steps before the average of the weights began, or None.
        finetuned_since: Steps before the second phase began, or None.
        frozen_until: Steps before frozen word vectors are trained.
        released_at: Steps before they were, or None.
        paused: Whether `fit` was left for that: see `go_on`.
    """

    def __init__(
        self,
        settings: Settings,
        pace: StepPace | ClockPace,
        batches: Any,
        folder: RunFolder,
        flag: SignalFlag,
        reporter: Reporter,
        validator: Validator | None,
        clock: Callable[[], float],
        identity: dict[str, Any],
        environment: dict[str, Any],
        set_learning_rate: Callable[[float], None] | None = None,
        writer: Writer | None = None,
        frozen_until: float = NOT_FROZEN,
        validation_seconds: float = 0.0,
        models: int = 1,
    ) -> None:
        """Set a run up at its beginning.

        Args:
            settings: Of the run.
            pace: Turns steps into progress.
            batches: The data; it says tokens a batch and batches an epoch.
            folder: Where log and checkpoints go.
            flag: Set by a signal.
            reporter: Told what happens.
            validator: Scores the validation text; None without one.
            clock: Seconds of running time of this run, summed over resumes.
            identity: What a resumed run must share; kept in the checkpoint.
            environment: Versions and machine; kept there too.
            set_learning_rate: Sets the rate of the next step; the model's optimizer
                is told if absent.
            writer: Takes checkpoints; one that writes them into `folder` if absent.
            frozen_until: Step after which word vectors are trained that are frozen.
            validation_seconds: About how long a validation will take.
            models: That are trained together and validated one after the other.
        """
        super().__init__()
        self.settings, self.pace, self.batches = settings, pace, batches
        self.folder, self.flag, self.reporter = folder, flag, reporter
        self.validator, self.clock, self.identity = validator, clock, identity
        self.environment = environment
        self.set_learning_rate = set_learning_rate or self._tell_optimizer
        self.writer = CheckpointWriter(folder.path) if writer is None else writer
        self.frozen_until = frozen_until
        self.released_at: int | None = None
        self.paused = False
        self.step = 0
        self.complete = False
        self.best: dict[str, np.ndarray] = {}
        self.best_nats = math.inf
        self.best_step = 0
        self.averaged_since: int | None = None
        self.finetuned_since: int | None = None
        self._decays = 0
        self._figures: list[float] = []  # of all validations
        self._stale = 0
        self._validations = ValidationPlan(
            settings.validations, validation_seconds, models
        )
        self._previous: Any = None
        self._resumed: dict[str, np.ndarray] = {}
        self._recent_loss = math.nan
        self._reported = -math.inf
        self._speed = Speed()
        self._rate = math.nan

    # -- events of fit ------------------------------------------------------------

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Go on with the means that a resumed run had under way."""
        if self._resumed:
            restore_metrics(self.model, self._resumed)
            self._resumed = {}

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Begin to fine-tune or to average if it is time; set the learning rate."""
        progress = self.pace.progress(self.step)
        finetune = 0 < self.settings.finetune >= 1.0 - progress
        if finetune and self.finetuned_since is None:
            self._finetune()
        begin = begins_at(self.settings)
        if self.averaged_since is None and begin is not None and progress >= begin:
            self._begin_average()
        rate = learning_rate(self.settings, progress, self._decays)
        rate *= self.batches.rate_scale(self.step)
        if rate != self._rate:
            self.set_learning_rate(rate)
            self._rate = rate

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count the step, then do what is due."""
        # The loss of the step before: reading this one's would wait for its end. So
        # there are never more than two steps under way.
        if self._previous is not None:
            self._check_loss(self._previous["loss"], self.step)
        self._previous = logs
        self.step += 1
        now = self.clock()
        self._speed.add(self.batches.tokens_per_batch, now)
        if isinstance(self.pace, ClockPace):
            reserved = self._validations.reserved(self.pace.deadline - now)
            self.pace.observe(self.step, now, reserved)
            self.complete = self.pace.finished(self.step, now)
        else:
            self.complete = self.pace.finished(self.step)
        if self.step % LOG_EVERY == 0 or self.complete:
            self._log(logs, now)
        known = self._speed.value > 0  # not yet after the first step, which compiles
        if (known and now - self._reported >= REPORT_EVERY) or self.complete:
            self._report(now)
        if self.validator is not None and (
            self.complete or self._validations.due(self.pace, self.step, now)
        ):
            self._validate(self.validator, logs)
        if self.complete or self.flag.number is not None:
            self._keep(logs)
            self.writer.close()
            self.model.stop_training = True
            return
        if self.writer.due():
            self._keep(logs)
        if self.step == self.frozen_until:
            self.paused = self.model.stop_training = True

    def go_on(self, set_learning_rate: Callable[[float], None] | None = None) -> None:
        """Be told that the word vectors will be trained, by an optimizer as new.

        Args:
            set_learning_rate: As of the constructor.
        """
        self.set_learning_rate = set_learning_rate or self._tell_optimizer
        self.released_at, self.paused = self.step, False
        self._resumed = {}  # `fit` begins with new means at this step in any case
        if isinstance(self.pace, ClockPace):
            self.pace.compile_anew()
        self._rate = math.nan  # to be set in any case
        if self.averaged_since is not None:
            self._begin_average()
        self.reporter.note(f"The word vectors are trained from step {self.step} on.")

    def _finetune(self) -> None:
        restart(self.model, self.settings, self.best or current_weights(self.model))
        self.finetuned_since = self.step
        self._stale = self._decays = 0
        self._rate = math.nan  # to be set in any case
        if self.settings.averaging_kind != "none":
            self._begin_average()
        self.reporter.note(
            f"Fine-tuning from step {self.step} on, from the weights of step "
            f"{self.best_step if self.best else self.step}."
        )

    def _begin_average(self) -> None:
        begin_average(self.model.optimizer)
        self.averaged_since = self.step

    def _average_if_triggered(self) -> None:
        wanted = self.settings.averaging_kind == "nt_asgd"
        if not wanted or self.averaged_since is not None:
            return
        if is_triggered(self._figures, self.settings.average_patience):
            self._begin_average()
            self.reporter.note(f"The weights are averaged from step {self.step} on.")

    def _tell_optimizer(self, rate: float) -> None:
        self.model.optimizer.learning_rate = rate

    # -- checkpoints --------------------------------------------------------------

    def resume(self, checkpoint: Checkpoint) -> None:
        """Take position and history from a checkpoint (variables: see `restore`)."""
        meta = checkpoint.meta
        self.step = meta["step"]
        self._resumed = checkpoint.arrays
        self.complete = meta["complete"]
        self.best = checkpoint.best
        self.best_nats = math.inf if meta["best_nats"] is None else meta["best_nats"]
        self.best_step = meta["best_step"]
        self.averaged_since = meta["averaged_since"]
        self.finetuned_since = meta["finetuned_since"]
        if 0 < self.frozen_until < self.step:
            self.released_at = int(self.frozen_until)
        self._decays = meta["decays"]
        self._figures = meta["figures"]
        self._stale = meta["stale"]
        self._validations.seconds = meta["validation_seconds"]
        self._validations.steps = list(meta["validated"])
        self.pace.knots = [Knot(*knot) for knot in meta["knots"]]

    def _keep(self, logs: Any) -> None:
        """Write a checkpoint of this very step, unless its weights are no numbers."""
        self._check_loss(logs["loss"], self.step)
        self._check_weights()
        arrays = snapshot(self.model)
        if self.complete and not self.best:
            self.best = current_weights(self.model)
            self.best_step = self.step
        meta = {
            "identity": self.identity,
            "step": self.step,
            "complete": self.complete,
            "seconds": self.clock(),
            "best_nats": None if math.isinf(self.best_nats) else self.best_nats,
            "best_step": self.best_step,
            "averaged_since": self.averaged_since,
            "finetuned_since": self.finetuned_since,
            "decays": self._decays,
            "figures": self._figures,
            "stale": self._stale,
            "validation_seconds": self._validations.seconds,
            "validated": self.validated,
            "environment": self.environment,
            "knots": [[k.step, k.progress, k.rate] for k in self.pace.knots],
            "log_size": self.folder.log_size(),
        }
        self.writer.submit(Checkpoint(arrays, dict(self.best), meta))
        publish_programs()  # whoever resumes the run will need the same

    # -- validation ---------------------------------------------------------------

    @property
    def validated(self) -> list[int]:
        """Steps after which the model was validated."""
        return list(self._validations.steps)

    def _validate(self, validator: Validator, logs: Any) -> None:
        self._check_loss(logs["loss"], self.step)
        self._check_weights()
        begun = self.clock()
        weights = current_weights(self.model)
        try:
            found = with_weights(self.model, weights, validator)
        except ProbabilityError as error:  # of finite weights
            raise self._not_a_number("validation loss", self.step) from error
        self._figures.append(found.nats_per_token)
        best = found.nats_per_token < self.best_nats
        if best:
            self.best, self.best_nats = weights, found.nats_per_token
            self.best_step = self.step
        self._stale = 0 if best else self._stale + 1
        self._decays += not best
        last = self.finetuned_since is not None or not self.settings.finetune
        if 0 < self.settings.patience <= self._stale and last and not self.complete:
            self.complete = True
            self.reporter.note(
                f"Stopped early at step {self.step}: no better validation in "
                f"{self._stale} in a row."
            )
        self._average_if_triggered()
        now = self.clock()
        self.folder.log(
            {
                "event": "valid",
                **self._place(now),
                "valid_loss": found.nats_per_token,
                "valid_perplexity": found.perplexity,
            }
        )
        self.reporter.validation(
            self.step, found.nats_per_token, found.perplexity, best
        )
        self._validations.took(self.step, now - begun)
        self._speed.pause(now)
        if isinstance(self.pace, ClockPace):
            self.pace.pause(now - begun)

    # -- telling ------------------------------------------------------------------

    def _log(self, logs: Any, now: float) -> None:
        self._check_loss(logs["loss"], self.step)
        self._recent_loss = _nats(logs)
        self.folder.log(
            {
                "event": "train",
                **self._place(now),
                "loss": self._recent_loss,
                "learning_rate": self._rate,
                "tokens_per_second": round(self._speed.value, 1),
            }
        )
        self.model.reset_metrics()  # the next row is the mean from here on
        self._previous = None

    def _report(self, now: float) -> None:
        self._reported = now
        if self._previous is not None:
            self._recent_loss = _nats(self._previous)
        progress = self.pace.progress(self.step)
        left = None
        if isinstance(self.pace, ClockPace):
            left = max(0.0, self.pace.deadline - now)
        elif self._speed.value > 0:
            steps = self.pace.steps - self.step
            left = steps * self.batches.tokens_per_batch / self._speed.value
        self.reporter.step(
            self.step, self._recent_loss, self._speed.value, progress, left, self._rate
        )

    def _place(self, now: float) -> dict[str, Any]:
        return {
            "step": self.step,
            "epoch": round(self.step / self.batches.batches_per_epoch, 4),
            "tokens": self.step * self.batches.tokens_per_batch,
            "seconds": round(now, 3),
        }

    def _check_loss(self, loss: Any, step: int) -> None:
        if not math.isfinite(number(loss)):
            raise self._not_a_number("loss", step)

    def _check_weights(self) -> None:
        for name, variable in named_weights(self.model).items():
            if not np.isfinite(keras.ops.convert_to_numpy(variable.value)).all():
                raise self._not_a_number(f"weight '{name}'", self.step)

    def _not_a_number(self, what: str, step: int) -> TrainingError:
        self.writer.close()
        kept = (
            f"The checkpoint of step {self.writer.last_step} is kept in "
            f"'{self.writer.folder}'."
            if self.writer.last_step is not None
            else "No checkpoint had been written yet."
        )
        return TrainingError(
            f"Training stopped: the {what} is not a number at step {step}. Try a lower "
            f"learning_rate (now {self.settings.learning_rate:g}), a smaller clip_norm "
            f"(now {self.settings.clip_norm:g}, 0 is off) or precision=float32, with "
            f"another --out. {kept}"
        )


def _nats(logs: Any) -> float:
    """Mean nats a token; Keras's loss holds the penalty on activations besides."""
    penalty = logs.get("penalty")
    return number(logs["loss"]) - (0.0 if penalty is None else number(penalty))


def wall_clock(spent: float, started: float) -> Callable[[], float]:
    """Return a clock of running time: `spent` before, and all since `started`."""
    return lambda: spent + time.monotonic() - started
