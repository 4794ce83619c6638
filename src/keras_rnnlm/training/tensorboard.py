"""Training for TensorBoard: event files, written without TensorFlow.

`EventReporter` goes with `train` (and is what `rnnlm train --tensorboard` uses),
`TensorBoard` with Keras's `fit`. Both write the tags of `TAGS`, over steps of the
optimizer. The package `tensorboard` does the writing: pip install
'keras-rnnlm[tensorboard]'. (Keras's own callback of this name needs TensorFlow.)
"""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from keras_rnnlm.errors import ConfigError, FolderError
from keras_rnnlm.training.pending import number
from keras_rnnlm.training.reporter import Reporter

TAGS = (
    "train/loss",
    "train/perplexity",
    "train/learning_rate",
    "train/tokens_per_second",
    "valid/loss",
    "valid/perplexity",
)
"""Losses are in nats a token."""
EVERY = 1.0  # seconds between two points of training
_FLUSH = 10  # seconds: somebody may be looking
_MOST_NATS = 700.0


class EventWriter:
    """One event file in a folder.

    Attributes:
        closed: Whether `close` was called: nothing can be added any more.

    Raises:
        ConfigError: The package `tensorboard` is not installed.
        FolderError: The folder cannot be written.
    """

    def __init__(self, folder: str | Path) -> None:
        """Make the folder and begin a file."""
        try:
            from tensorboard.compat.proto.event_pb2 import Event, SessionLog
            from tensorboard.compat.proto.summary_pb2 import Summary
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ModuleNotFoundError as error:
            raise ConfigError(
                "Event files are written by the package tensorboard: pip install "
                "'keras-rnnlm[tensorboard]'."
            ) from error
        self._event, self._log, self._summary = Event, SessionLog, Summary
        self.closed = False
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._writer = EventFileWriter(str(folder), flush_secs=_FLUSH)
        except OSError as error:
            raise FolderError(
                f"Cannot write to '{folder}': {error.strerror}. Choose another folder "
                "for TensorBoard."
            ) from error

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Write scalars of a step, those that are finite.

        Args:
            step: Steps of the optimizer.
            values: By tag.
        """
        rows = [
            self._summary.Value(tag=tag, simple_value=value)
            for tag, value in values.items()
            if math.isfinite(value)
        ]
        if rows:
            summary = self._summary(value=rows)
            event = self._event(wall_time=time.time(), step=step, summary=summary)
            self._writer.add_event(event)

    def resume(self, step: int) -> None:
        """Say that a run goes on from a step: what others wrote after it is void."""
        start = self._log(status=self._log.START)
        event = self._event(wall_time=time.time(), step=step, session_log=start)
        self._writer.add_event(event)

    def close(self) -> None:
        """Write what is still held back, and close the file; once is enough."""
        if not self.closed:
            self.closed = True
            self._writer.close()


class EventReporter:
    """A reporter that also writes events; everything goes on to another one.

    Example:
        >>> train(corpus, settings, "out", reporter=EventReporter("board/out"))
    """

    def __init__(
        self,
        folder: str | Path,
        reporter: Reporter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin an event file.

        Args:
            folder: For it; TensorBoard names the run after it.
            reporter: Told everything as well.
            clock: Decides when a point of training is due, in seconds.
        """
        self._writer, self._reporter, self._clock = EventWriter(folder), reporter, clock
        self._last = -math.inf

    def start(self, summary: dict[str, Any]) -> None:
        """Say where the run goes on, if it does; pass on."""
        if summary.get("resumed_at"):
            self._writer.resume(summary["resumed_at"] + 1)
        if self._reporter is not None:
            self._reporter.start(summary)

    def step(
        self,
        step: int,
        loss: float,
        tokens_per_second: float,
        progress: float,
        seconds_left: float | None,
        learning_rate: float,
    ) -> None:
        """Write loss, rate and speed, at most once a second; pass on."""
        if self._clock() - self._last >= EVERY or progress >= 1.0:
            self._last = self._clock()
            self._writer.add(
                step,
                {
                    **_loss("train", loss),
                    "train/learning_rate": learning_rate,
                    "train/tokens_per_second": tokens_per_second,
                },
            )
        if self._reporter is not None:
            self._reporter.step(
                step, loss, tokens_per_second, progress, seconds_left, learning_rate
            )

    def validation(
        self, step: int, nats_per_token: float, perplexity: float, best: bool
    ) -> None:
        """Write loss and perplexity of the validation; pass on."""
        self._writer.add(step, _loss("valid", nats_per_token))
        if self._reporter is not None:
            self._reporter.validation(step, nats_per_token, perplexity, best)

    def note(self, sentence: str) -> None:
        """Pass on."""
        if self._reporter is not None:
            self._reporter.note(sentence)

    def finish(self, report: dict[str, Any]) -> None:
        """Close the file; pass on."""
        self._writer.close()
        if self._reporter is not None:
            self._reporter.finish(report)

    def close(self) -> None:
        """Close the file of a run that was interrupted."""
        self._writer.close()


class TensorBoard(keras.callbacks.Callback):
    """A callback of `fit` that writes events.

    Example:
        >>> model.fit(batches, callbacks=[TensorBoard("board/first")])
    """

    def __init__(self, folder: str | Path, every: int = 50) -> None:
        """Begin an event file.

        Args:
            folder: For it.
            every: Steps between two points of training: reading a loss waits for the
                step to end.
        """
        super().__init__()
        if every < 1:
            raise ConfigError(f"Expected every to be 1 or more, received {every}.")
        self._folder, self._every, self._step = folder, every, 0
        self._writer = EventWriter(folder)

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin another file for a further `fit`; steps are counted on."""
        if self._writer.closed:
            self._writer = EventWriter(self._folder)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Write the mean of the epoch so far, if it is time."""
        self._step += 1
        if logs and self._step % self._every == 0:
            self._writer.add(self._step, _named("train", logs))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the means of the epoch, and what was measured on validation data."""
        logs = logs or {}
        own = {k: v for k, v in logs.items() if not k.startswith("val_")}
        held = {k[4:]: v for k, v in logs.items() if k.startswith("val_")}
        rate = number(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self._writer.add(
            self._step,
            {
                **_named("train", own),
                **_named("valid", held),
                "train/learning_rate": rate,
            },
        )

    def on_train_end(self, logs: Any = None) -> None:
        """Close the file."""
        self._writer.close()


def _named(part: str, logs: Mapping[str, Any]) -> dict[str, float]:
    """Return logs under tags, with the perplexity of a loss that has none."""
    values = {f"{part}/{key}": number(value) for key, value in logs.items()}
    if "loss" in logs and f"{part}/perplexity" not in values:
        values |= _loss(part, values[f"{part}/loss"])
    return values


def _loss(part: str, nats: float) -> dict[str, float]:
    perplexity = math.exp(nats) if nats < _MOST_NATS else math.inf
    return {f"{part}/loss": nats, f"{part}/perplexity": perplexity}
