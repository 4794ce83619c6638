"""Entries of the cache of encoded texts: one file each, complete or absent.

An entry is the ids, then the positions of unknown tokens, then JSON, then the sizes of
these, then a checksum of all before it. It is written beside its place and moved there
in one step, so several writers do no harm; one that is cut off or damaged is recognised
and made again.

The cache keeps to `CACHE_BYTES`: after a write the entries used longest ago go.
"""

import json
import os
import re
import secrets
import shutil
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.errors import InputError

CACHE_BYTES = 20 << 30
_SUFFIX = ".tokens"
_OURS = re.compile(r"[0-9a-f]{64}(\.tokens|\.\d+\.[0-9a-f]{8}(\.oov)?\.part)")
_MAGIC = b"RNNLMIDS"
# ids' bytes, ids' item size, unknown tokens, JSON's bytes
_SIZES = struct.Struct("<QQQQ")
# checksum of all before it
_END = struct.Struct("<I8s")
_BLOCK = 1 << 20
_DAY = 86_400.0


@dataclass(frozen=True, eq=False)
class Entry:
    """What an entry holds; the arrays are mapped from its file."""

    ids: NDArray[np.unsignedinteger]
    oov: NDArray[np.int64]
    facts: dict[str, Any]


class EntryWriter:
    """Takes the parts of an entry as they come; see `writing`."""

    def __init__(self, folder: Path, ids: IO[bytes], oov: IO[bytes]) -> None:
        """Write to two files in the folder; the second is read again in the end."""
        self._folder, self._ids, self._oov = folder, ids, oov
        self._ids_bytes = self._checksum = 0
        self._item_size = 2

    def append(self, ids: NDArray[np.unsignedinteger], oov: NDArray[np.int64]) -> None:
        """Add ids, and positions of unknown tokens counted from the very first id."""
        data = ids.tobytes()
        self._item_size = ids.itemsize
        self._ids_bytes += len(data)
        with _said_where(self._folder):
            self._write(data)
            self._oov.write(oov.tobytes())

    def close(self, facts: dict[str, Any]) -> None:
        """Write what follows the ids."""
        with _said_where(self._folder):
            # Keeps the positions aligned in memory.
            self._write(bytes(-self._ids_bytes % 8))
            oov_bytes = self._oov.tell()
            self._oov.seek(0)
            while data := self._oov.read(_BLOCK):
                self._write(data)
            text = json.dumps(facts).encode()
            self._write(text)
            self._write(
                _SIZES.pack(self._ids_bytes, self._item_size, oov_bytes // 8, len(text))
            )
            self._ids.write(_END.pack(self._checksum, _MAGIC))

    def _write(self, data: bytes) -> None:
        self._checksum = zlib.crc32(data, self._checksum)
        self._ids.write(data)


@contextmanager
def writing(folder: Path, key: str) -> Iterator[EntryWriter]:
    """Write an entry; it is in its place when the block is left without an exception.

    Raises:
        InputError: the folder cannot be written to, or the disk is full.
    """
    temporary = folder / f"{key}.{os.getpid()}.{secrets.token_hex(4)}.part"
    unknown = temporary.with_suffix(".oov.part")
    files: list[IO[bytes]] = []
    try:
        with _said_where(folder):
            folder.mkdir(parents=True, exist_ok=True)
            files.append(open(temporary, "wb"))  # noqa: SIM115, closed below
            files.append(open(unknown, "w+b"))  # noqa: SIM115
        yield EntryWriter(folder, *files)
        with _said_where(folder):
            files[0].flush()
            os.fsync(files[0].fileno())
            os.replace(temporary, folder / f"{key}{_SUFFIX}")
    finally:
        for file in files:
            with suppress(OSError):  # what a full disk did not take
                file.close()
        for path in (temporary, unknown):
            with suppress(OSError):
                path.unlink()
    _tidy(folder, keep=key)


@contextmanager
def _said_where(folder: Path) -> Iterator[None]:
    """Turn the system's error into one that names the folder and the way out."""
    try:
        yield
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _cannot_write(folder: Path, error: OSError) -> InputError:
    reason = error.strerror or str(error)
    with suppress(OSError):
        free = shutil.disk_usage(folder).free
        reason += f", {free / 1e6:,.0f} MB free"
    return InputError(
        f"Cannot write the encoded text to the cache in {folder} ({reason}). Make "
        "room there, or set RNNLM_CACHE to a folder with room that you may write to."
    )


def read_entry(folder: Path, key: str) -> Entry | None:
    """Return an entry, or None where it is absent, cut off or damaged."""
    path = folder / f"{key}{_SUFFIX}"
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END) - _END.size
            if size < _SIZES.size:
                return None
            file.seek(size - _SIZES.size)
            ids_bytes, item_size, unknown, text_bytes = _SIZES.unpack(
                file.read(_SIZES.size)
            )
            checksum, magic = _END.unpack(file.read(_END.size))
            first_unknown = ids_bytes + -ids_bytes % 8
            first_text = first_unknown + 8 * unknown
            if magic != _MAGIC or first_text + text_bytes + _SIZES.size != size:
                return None
            file.seek(0)
            if _checksum(file, size) != checksum:
                return None
            file.seek(first_text)
            facts = json.loads(file.read(text_bytes))
        # Tells tidying that the entry is in use, where the folder can be written to.
        with suppress(OSError):
            os.utime(path)
        dtype = np.dtype(np.uint16 if item_size == 2 else np.uint32)
        return Entry(
            _mapped(path, dtype, 0, ids_bytes // item_size),
            _mapped(path, np.dtype(np.int64), first_unknown, unknown),
            facts,
        )
    except OSError:
        return None


def _mapped(path: Path, dtype: np.dtype[Any], offset: int, count: int) -> Any:
    if not count:  # nothing cannot be mapped
        return np.empty(0, dtype)
    return np.memmap(path, dtype, "r", offset, (count,))


def _checksum(file: IO[bytes], size: int) -> int:
    checksum = 0
    while size and (data := file.read(min(size, _BLOCK))):
        checksum = zlib.crc32(data, checksum)
        size -= len(data)
    return checksum


def _tidy(folder: Path, keep: str) -> None:
    """Remove the entries used longest ago, and what broken-off writers left."""
    entries = []
    for path in folder.iterdir():
        with suppress(OSError):
            status = path.stat()
            if not _OURS.fullmatch(path.name):  # the folder may be anybody's
                continue
            if path.suffix == ".part" and time.time() - status.st_mtime > _DAY:
                path.unlink()
            elif path.suffix == _SUFFIX:
                entries.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= CACHE_BYTES:
            return
        # Whoever has it mapped keeps it.
        if path.name != f"{keep}{_SUFFIX}":
            with suppress(OSError):
                path.unlink()
                total -= size
