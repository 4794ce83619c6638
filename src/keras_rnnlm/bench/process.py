"""A contestant's process, seen from the one that compares them."""

import contextlib
import json
import os
import select
import subprocess
import tempfile
import time
from types import TracebackType
from typing import Any, Self

from keras_rnnlm.child_python import environment, python

MODULE = "keras_rnnlm.bench.worker"
LONGEST = 600.0  # seconds to wait for an answer


class ContestantFailed(Exception):
    """The process ended, or said that it cannot go on; the text says why."""


class Process:
    """One running `keras_rnnlm.bench.worker`.

    Attributes:
        facts: What it said when it was ready, and with its last answer.
    """

    def __init__(self, specification: dict[str, Any], backend: str | None) -> None:
        """Start it; `wait` until it is ready.

        Args:
            specification: What `worker.main` reads.
            backend: For `KERAS_BACKEND`; None leaves it to the package.
        """
        variables = {"TF_CPP_MIN_LOG_LEVEL": "2"}
        if backend is not None:
            variables["KERAS_BACKEND"] = backend
        self.facts: dict[str, Any] = {}
        self._unread = b""
        # Closed by `close`, with the process that writes it.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            python(MODULE, json.dumps(specification)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            env=environment(**variables),
        )

    def __enter__(self) -> Self:
        """Return the process itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self.close()

    def wait(self) -> None:
        """Wait until it is ready.

        Raises:
            ContestantFailed: It will not be.
        """
        self.facts = self._answer()["ready"]

    def ask(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Return its answer to a wish.

        Raises:
            ContestantFailed: There is none.
        """
        if self._process.stdin is None:
            raise ContestantFailed("it was started without an input")
        try:
            self._process.stdin.write(json.dumps(wish).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ContestantFailed(self._last_words()) from None
        return self._answer()

    def close(self) -> None:
        """End the process: kindly at first."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            # A broken pipe says that it has ended already.
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._complaints.close()

    def _answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._line())
        if "failed" in answer:
            raise ContestantFailed(answer["failed"])
        return answer

    def _line(self) -> bytes:
        if self._process.stdout is None:
            raise ContestantFailed("it was started without an output")
        output = self._process.stdout.fileno()
        deadline = time.monotonic() + LONGEST
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([output], [], [], left)[0]:
                raise ContestantFailed(f"no answer within {LONGEST:.0f} seconds")
            piece = os.read(output, 1 << 16)
            if not piece:
                raise ContestantFailed(self._last_words())
            self._unread += piece
        line, self._unread = self._unread.split(b"\n", 1)
        return line

    def _last_words(self) -> str:
        code = self._process.wait()
        self._complaints.seek(0)
        lines = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        return f"ended with code {code}: {lines[-1] if lines else 'without a word'}"
