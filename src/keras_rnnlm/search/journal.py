"""The journal of a study in one file, for all workers on a machine.

Optuna's own journal file is made again without a word when it is deleted, keeps its
lock for half a minute after a process was killed, and can no longer be read once a full
disk or a kill has left half a line in it. This one notices that its file went away,
leaves the lock to the system, which frees it however a process ends, and cuts half a
line off before it writes the next.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from keras_rnnlm.errors import StorageError
from keras_rnnlm.file_lock import try_lock

LONGEST = 60.0
"""Seconds to wait for other workers: writing takes milliseconds."""
_BLOCK = 4096


class Journal(BaseJournalBackend):
    """A file with one JSON object a line."""

    def __init__(self, path: Path) -> None:
        """Open a journal, which has to be there; see `create_journal`."""
        self._path = path
        self._lock_path = path.with_name(f".{path.name}.lock")
        self._file: tuple[int, int] | None = None  # which file it was: device, inode
        self._offsets = {0: 0}  # number of a line to where it begins
        self._read = 0  # bytes
        self._check()

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield whole lines from a number on."""
        self._check()
        number = max(n for n in self._offsets if n <= log_number_from)
        with self._path.open("rb") as stream:
            stream.seek(self._offsets[number])
            for line in stream:
                if not line.endswith(b"\n"):
                    return  # being written, or left by a process that was killed
                number += 1
                self._offsets[number] = self._offsets[number - 1] + len(line)
                self._read = max(self._read, self._offsets[number])
                if number <= log_number_from:
                    continue
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise StorageError(
                        f"'{self._path}' is damaged in line {number} ({error}). Move "
                        "it away and go on with --resume: it is made again from the "
                        "records of the trials."
                    ) from error

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write lines, all of them or none."""
        content = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self._check()
        with self._locked():
            self._check()
            with self._path.open("r+b") as stream:
                end = _end_of_lines(stream)
                stream.truncate(end)
                stream.seek(end)
                try:
                    stream.write(content.encode("utf-8"))
                    stream.flush()
                    os.fsync(stream.fileno())
                except OSError:
                    os.truncate(self._path, end)
                    raise

    def _check(self) -> None:
        """Raise `StorageError` unless the file is there and the one it was."""
        try:
            status = self._path.stat()
        except OSError as error:
            raise StorageError(
                f"'{self._path}' is gone ({error.strerror}), where this search keeps "
                "its trials."
            ) from error
        if not os.path.isfile(self._path):
            raise StorageError(f"'{self._path}' is no file; expected a journal.")
        file = status.st_dev, status.st_ino
        if self._file not in (None, file) or status.st_size < self._read:
            raise StorageError(f"'{self._path}' has been replaced by another file.")
        self._file = file

    @contextmanager
    def _locked(self) -> Iterator[None]:
        deadline = time.monotonic() + LONGEST
        with self._lock_path.open("ab") as lock:
            while not try_lock(lock):
                if time.monotonic() > deadline:
                    raise StorageError(
                        f"'{self._lock_path}' is held by another process, which does "
                        "not let it go."
                    )
                time.sleep(0.005)
            yield


def create_journal(path: Path) -> None:
    """Make an empty journal where there is none.

    Raises:
        OSError: It cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.open("ab").close()


def _end_of_lines(stream: Any) -> int:
    """Return the position after the last whole line."""
    position: int = stream.seek(0, os.SEEK_END)
    while position > 0:
        start = max(0, position - _BLOCK)
        stream.seek(start)
        block: bytes = stream.read(position - start)
        newline = block.rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        position = start
    return 0
