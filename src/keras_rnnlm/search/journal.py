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
from stat import S_ISREG
from typing import Any, BinaryIO, cast

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
        self._opened("rb").close()

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield whole lines from a number on."""
        number = max(n for n in self._offsets if n <= log_number_from)
        with self._opened("rb") as stream:
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
        with self._locked(), self._opened("r+b") as stream:
            end = _end_of_lines(stream)
            stream.truncate(end)
            file = stream.fileno()  # without a buffer, which would try again at the end
            os.lseek(file, end, os.SEEK_SET)
            rest = memoryview(content.encode("utf-8"))
            try:
                while rest:
                    rest = rest[os.write(file, rest) :]
                os.fsync(file)
            except OSError:
                os.truncate(file, end)
                raise

    def _opened(self, mode: str) -> BinaryIO:
        """Open the file; `StorageError` unless it is there and the one it was.

        What is looked at is the open file: one that is looked at and then opened may
        be gone in between.
        """
        stream = self._open(self._path, mode)
        status = os.fstat(stream.fileno())
        file = status.st_dev, status.st_ino
        if self._file in (None, file) and status.st_size >= self._read:
            self._file = file
            return stream
        stream.close()
        raise StorageError(f"'{self._path}' has been replaced by another file.")

    def _open(self, path: Path, mode: str) -> BinaryIO:
        try:
            if path == self._path and not S_ISREG(path.stat().st_mode):
                raise StorageError(f"'{path}' is no file; expected a journal.")
            return cast(BinaryIO, path.open(mode))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StorageError(
                f"'{self._path}' is gone ({error.strerror}), where this search keeps "
                "its trials."
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        deadline = time.monotonic() + LONGEST
        with self._open(self._lock_path, "ab") as lock:
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
    path.touch()


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
