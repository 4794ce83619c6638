"""Processes that end with the one that started them.

A child holds a pipe to its parent. When the parent closes it, or is killed, the child
ends: a search that is killed leaves nothing behind that trains. Ctrl-C reaches all
processes of a terminal at once, but only the first of them decides what it means.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from keras_rnnlm.child_python import environment, python


class Child:
    """A running `python -P -m MODULE SPECIFICATION`."""

    def __init__(
        self,
        module: str,
        specification: dict[str, Any],
        log: Path | None = None,
        listen: bool = False,
    ) -> None:
        """Start it.

        Args:
            module: Whose `main` reads `specification_of`.
            specification: For it, as JSON.
            log: File for what it says; the own standard error if absent.
            listen: Whether it answers on its standard output; see `messages`.
        """
        with contextlib.ExitStack() as files:
            error: IO[bytes] | None = None
            if log is not None:
                error = files.enter_context(log.open("ab"))
            files.enter_context(_interrupts_held())
            self._process = subprocess.Popen(
                python(module, json.dumps(specification)),
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if listen else subprocess.DEVNULL,
                stderr=error,
            )

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yield what it says, until its end."""
        if self._process.stdout is not None:
            for line in self._process.stdout:
                with contextlib.suppress(ValueError):  # half a line of a killed one
                    yield json.loads(line)

    def stop(self) -> None:
        """Ask it to end: soon, and with all that it has kept."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def wait(self, seconds: float | None = None) -> int | None:
        """Return its exit code, None if it is still running after so many seconds."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> None:
        """Free its pipes."""
        self.stop()
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start a process that Ctrl-C does not reach before it can say so itself."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def specification_of() -> dict[str, Any]:
    """Return what this process was started with."""
    found: dict[str, Any] = json.loads(sys.argv[1])
    return found


def leave_interrupts_to_parent() -> None:
    """Let Ctrl-C not reach this process, nor those that it starts."""
    # Blocked for the processes that it starts, which set handlers of their own; ignored
    # for the threads that libraries have begun before, which no mask of ours reaches.
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def when_parent_ends(do: Callable[[], object]) -> None:
    """Call a function, on another thread, once the parent lets this process go."""

    def watch() -> None:
        # Below Python's own buffer: its lock would keep the process from ending.
        while os.read(0, 1024):
            pass
        do()

    threading.Thread(target=watch, daemon=True).start()


def use_cores(cores: Sequence[int]) -> None:
    """Run on these cores alone, where the system can do that."""
    if cores and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores)


def shares(workers: int) -> list[list[int]]:
    """Return the cores of each worker: equal shares of those of this process.

    With more workers than cores some have one core together. Where the system does not
    tell its cores the lists are empty, which leaves the choice to it.
    """
    if not hasattr(os, "sched_getaffinity"):
        return [[] for _ in range(workers)]
    cores = sorted(os.sched_getaffinity(0))
    if workers >= len(cores):
        return [[cores[number % len(cores)]] for number in range(workers)]
    each = len(cores) // workers
    found = [cores[n * each : (n + 1) * each] for n in range(workers)]
    found[-1] += cores[workers * each :]
    return found
