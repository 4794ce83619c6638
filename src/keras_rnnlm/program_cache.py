"""XLA's compiled programs, kept in the user's cache from one process to the next.

JAX can keep compiled programs in a folder. But it writes each file in place, so that a
process that is killed leaves half a file, which is never replaced; it does not bound
the folder without a further package; and a program compiled for other cores or another
processor may be taken. So JAX is given a private folder of this process, which holds
links to all that is kept for such a machine, and what it adds there is published file
by file, each of them whole.
"""

import atexit
import hashlib
import logging
import os
import platform
import secrets
import shutil
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

from keras_rnnlm.file_lock import try_lock
from keras_rnnlm.processor import processor_flags, visible_cores
from keras_rnnlm.user_cache import cache_folder

LIMIT = 512 << 20
"""Bytes of programs that are kept for a machine; the oldest go first."""

_SUFFIX = "-cache"  # of JAX's files
_PRIVATE = "process-"
_LOCK = "lock"
_YOUNG = 60.0  # seconds in which a folder may not have been locked yet

_log = logging.getLogger("keras_rnnlm")


class ProgramCache:
    """The programs kept for this machine, and the private folder of this process.

    Attributes:
        private: The folder for JAX.
    """

    def __init__(self, folder: Path) -> None:
        """Make a private folder with all that is kept.

        Args:
            folder: Where programs are kept.

        Raises:
            OSError: The folder cannot be written.
        """
        # Programs are run as they are found: nobody else may put any there.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._remove_abandoned()
        self.private = folder / f"{_PRIVATE}{os.getpid()}-{secrets.token_hex(4)}"
        self.private.mkdir(mode=0o700)
        self._lock: BinaryIO = (self.private / _LOCK).open("ab")
        try_lock(self._lock)
        for file in folder.glob(f"*{_SUFFIX}"):
            with suppress(FileNotFoundError):  # another process may be tidying up
                _place(file, self.private)
        self._known = {file.name for file in self.private.iterdir()}

    def publish(self) -> None:
        """Keep what JAX has compiled by now; it must not be compiling meanwhile.

        Raises:
            OSError: The folder cannot be written, or the disk is full.
        """
        added = [f for f in self.private.iterdir() if f.name not in self._known]
        for file in added:
            self._known.add(file.name)
            _place(file, self._folder)
        if added:
            self._tidy()

    def close(self) -> None:
        """Remove the private folder."""
        self._lock.close()
        shutil.rmtree(self.private, ignore_errors=True)

    def _tidy(self) -> None:
        """Remove the oldest programs beyond the limit."""
        files = []
        for file in self._folder.glob(f"*{_SUFFIX}"):
            with suppress(OSError):
                status = file.stat()
                files.append((status.st_mtime, status.st_size, file))
        total = sum(size for _, size, _ in files)
        for _, size, file in sorted(files):
            if total <= LIMIT:
                return
            file.unlink(missing_ok=True)
            total -= size

    def _remove_abandoned(self) -> None:
        """Remove the private folders of processes that were killed."""
        for folder in self._folder.glob(f"{_PRIVATE}*"):
            with suppress(OSError):
                if time.time() - folder.stat().st_mtime < _YOUNG:
                    continue
                with (folder / _LOCK).open("ab") as lock:
                    if try_lock(lock):
                        shutil.rmtree(folder, ignore_errors=True)


_active: ProgramCache | None = None


def keep_programs() -> None:
    """Let JAX keep its compiled programs, from the first that it compiles on.

    Call it before Keras is imported. Nothing happens on another backend, where
    `RNNLM_PROGRAMS=off`, or where JAX's own `JAX_COMPILATION_CACHE_DIR` is set.
    """
    global _active
    wanted = os.environ.get("RNNLM_PROGRAMS", "") != "off"
    others = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    on_jax = os.environ.get("KERAS_BACKEND") == "jax"
    if _active is not None or not wanted or others or not on_jax:
        return
    import jax

    try:
        _active = ProgramCache(cache_folder() / "programs" / _machine())
    except OSError as error:
        _log.warning("Compiled programs are not kept: %s.", error)
        return
    for name, value in {
        "jax_compilation_cache_dir": str(_active.private),
        # Small programs too: there are a hundred of them.
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
        # XLA's own caches, for GPUs, would put the private folder into every key.
        "jax_persistent_cache_enable_xla_caches": "none",
    }.items():
        jax.config.update(name, value)
    atexit.register(_active.close)
    atexit.register(publish_programs)


def publish_programs() -> None:
    """Keep what has been compiled by now, in case this process is killed."""
    if _active is None:
        return
    try:
        _active.publish()
    except OSError as error:  # a full disk is no reason to stop
        _log.warning("Compiled programs are not kept: %s.", error)


def _place(file: Path, folder: Path) -> None:
    """Put a file into a folder, whole at once, unless one of its name is there."""
    place = folder / file.name
    try:
        os.link(file, place)
    except (FileExistsError, FileNotFoundError):
        if not file.exists():
            raise
    except OSError:  # a file system without links
        copy = folder / f"{file.name}.{secrets.token_hex(4)}"
        shutil.copy2(file, copy)
        os.replace(copy, place)


def _machine() -> str:
    """Return a name for what a program is compiled for, beyond what JAX looks at.

    The number of cores is in it, since loops are divided among them when a program is
    compiled: sums are added in another order.
    """
    digest = hashlib.sha256()
    facts = (version("jaxlib"), platform.machine(), str(visible_cores()))
    for fact in (*facts, *sorted(processor_flags())):
        digest.update(fact.encode() + b"\0")
    return digest.hexdigest()[:16]
