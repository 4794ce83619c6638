"""The folder of a run: held by one writer, with a log that is cut back on resuming."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from keras_rnnlm.errors import FolderError, ResumeError
from keras_rnnlm.file_lock import try_lock
from keras_rnnlm.files import CHECKPOINT
from keras_rnnlm.files import REPORT as REPORT
from keras_rnnlm.plots import training_curve

LOG = "training.jsonl"
CURVE = "curve.png"
LOCK = ".lock"


class RunFolder:
    """A folder that one training run writes to, locked until `close`.

    Raises:
        FolderError: It exists and `resume` is not set, cannot be written, or another
            process is writing to it.
    """

    def __init__(self, path: str | Path, resume: bool) -> None:
        """Make the folder, or enter it when resuming, and lock it."""
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise FolderError(
                f"'{path}' is a file; --out takes a folder. Choose another name."
            )
        if not resume:
            refuse_existing(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock: BinaryIO | None = (self.path / LOCK).open("ab")
        except OSError as error:
            raise FolderError(
                f"Cannot write to '{path}': {error.strerror}. Choose a folder you may "
                "write to with --out."
            ) from error
        if not try_lock(self._lock):
            self._lock.close()
            raise FolderError(
                f"Another process is training in '{path}'. Wait for it, or choose "
                "another --out."
            )

    def log(self, row: dict[str, Any]) -> None:
        """Append a row to `training.jsonl`."""
        with (self.path / LOG).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")

    def log_size(self) -> int:
        """Return the number of bytes in the log."""
        path = self.path / LOG
        return path.stat().st_size if path.exists() else 0

    def cut_log(self, size: int) -> None:
        """Cut the log back to what it was when a checkpoint was written."""
        path = self.path / LOG
        if self.log_size() < size:
            raise ResumeError(
                f"'{path}' is shorter than when the checkpoint was written. Put it "
                "back as it was, or train anew with another --out."
            )
        if path.exists():
            os.truncate(path, size)

    def history(self) -> list[dict[str, Any]]:
        """Return all rows of the log."""
        path = self.path / LOG
        if not path.exists():
            return []
        with path.open(encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]

    def draw(self, note: Callable[[str], None]) -> None:
        """Draw the log as `curve.png`; where that fails, say so: the model matters."""
        try:
            training_curve(self.history(), self.path / CURVE)
        except Exception as error:
            note(f"There is no {CURVE}: {type(error).__name__}: {error}")

    def report(self) -> dict[str, Any] | None:
        """Return the report of a finished run, or None.

        The last thing that a run does is to remove its checkpoint: whatever is there
        beside one may not be all.

        Raises:
            FolderError: It is damaged, or the report of something else.
        """
        path = self.path / REPORT
        if not path.is_file() or (self.path / CHECKPOINT).exists():
            return None
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise FolderError(f"'{path}' is damaged: {error}.") from error
        if not isinstance(found, dict) or not {"identity", "settings"} <= set(found):
            raise FolderError(
                f"'{path}' is not the report of a training run, which --resume goes on "
                "with. Give the folder of the run with --out, or a new one without "
                "--resume."
            )
        return found

    def close(self) -> None:
        """Let the next writer in."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def sync_log(folder: Path) -> None:
    """Wait until the log of a run, if it has one, is on the disk; raises OSError."""
    path = folder / LOG
    if path.exists():
        with path.open("ab") as stream:
            os.fsync(stream.fileno())


def refuse_existing(path: Path) -> None:
    """Raise `FolderError` where a new run would meet an old one.

    A folder that holds only the lock of a run that never began is as good as new.
    """
    if path.is_dir() and any(p.name != LOCK for p in path.iterdir()):
        raise FolderError(
            f"'{path}' exists already. Choose another --out, or go on with the run in "
            "it with --resume."
        )
