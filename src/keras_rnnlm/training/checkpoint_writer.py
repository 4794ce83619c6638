"""Writes checkpoints in the background, as often as is due."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from keras_rnnlm.errors import FolderError
from keras_rnnlm.files import CHECKPOINT
from keras_rnnlm.training.checkpoints import Checkpoint, write_checkpoint
from keras_rnnlm.training.run_folder import sync_log

LONGEST = 25.0
"""Seconds between checkpoints at most; the writing itself may take the rest of 30."""
SHARE = 0.015
"""Share of the time that copying and writing may take."""


class Writer(Protocol):
    """What a training loop asks of whoever takes its checkpoints."""

    @property
    def folder(self) -> Path:
        """Where checkpoints lie."""

    @property
    def last_step(self) -> int | None:
        """The step of the newest complete checkpoint, or None."""

    def due(self) -> bool:
        """Return whether it is time for a checkpoint."""

    def submit(self, checkpoint: Checkpoint) -> None:
        """Take a checkpoint; raises `FolderError` if an earlier one was lost."""

    def close(self) -> None:
        """Wait for what is under way; raises `FolderError` if it failed."""


class CheckpointWriter:
    """One thread that writes one checkpoint at a time.

    Training waits only for the copy of the arrays, and for an earlier write that has
    not ended. A failed write is raised by the next call.

    Attributes:
        folder: Where checkpoints lie.
        last_step: The step of the newest complete checkpoint, or None.
    """

    def __init__(
        self,
        folder: Path,
        last_step: int | None = None,
        logged: Sequence[Path] | None = None,
    ) -> None:
        """Create a writer into a run folder; a first checkpoint is due in a second.

        Args:
            folder: Held by this process alone. What a process that was killed left of
                a checkpoint half written is removed.
            last_step: The step of the checkpoint that lies there, if any does.
            logged: Folders of the runs whose logs the checkpoints go with; `folder` if
                absent.
        """
        self.last_step = last_step
        self.folder = folder
        self._logged = [folder] if logged is None else list(logged)
        for left in folder.glob(f".{CHECKPOINT}.*.partial"):
            left.unlink(missing_ok=True)
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._pending: Future[float] | None = None
        self._next = time.monotonic() + 1.0

    def due(self) -> bool:
        """Return whether it is time for a checkpoint."""
        return time.monotonic() >= self._next

    def submit(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint; raises `FolderError` if an earlier write failed."""
        self._wait()
        self._pending = self._pool.submit(self._write, checkpoint)
        self._next = time.monotonic() + LONGEST

    def close(self) -> None:
        """Wait for the last write; raises `FolderError` if it failed."""
        self._wait()

    def _write(self, checkpoint: Checkpoint) -> float:
        begun = time.monotonic()
        # First: a log that is shorter than the checkpoint says cannot be gone on with.
        for run in self._logged:
            sync_log(run)
        write_checkpoint(self.folder, checkpoint)
        taken = time.monotonic() - begun
        self.last_step = int(checkpoint.meta["step"])
        # Small models: more often than need be, while it costs next to nothing.
        self._next = begun + min(LONGEST, max(2.0, taken / SHARE))
        return taken

    def _wait(self) -> None:
        if self._pending is None:
            return
        pending, self._pending = self._pending, None
        try:
            pending.result()
        except OSError as error:
            cure = (
                "Make room there and go on with --resume: the checkpoint before this "
                "one is complete."
                if self.last_step is not None
                else "Make room there and begin again with --resume: there is no "
                "checkpoint yet."
            )
            raise FolderError(
                f"Cannot write a checkpoint in '{self.folder}': {error.strerror}. "
                f"{cure}"
            ) from error
