"""SIGINT and SIGTERM as flags, read between steps.

An exception thrown into a running step would leave variables whose memory is already
given away; a flag that is read after the step leaves everything whole.
"""

import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Self


class Interrupted(Exception):
    """Raised between two steps after a signal; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        """Keep the number of the signal."""
        super().__init__(signal.Signals(number).name)
        self.number = number


class SignalFlag:
    """While entered, the first signal sets a flag and the second ends the process."""

    def __init__(self) -> None:
        """Create the flag, not set."""
        self.number: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        """Take over the signals; outside the main thread nothing is taken over."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signals back; a flag outside of this one hears of what came."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
            outer = getattr(handler, "__self__", None)
            if isinstance(outer, SignalFlag) and outer.number is None:
                outer.number = self.number

    def check(self, *_: object) -> None:
        """Raise `Interrupted` when the flag is set. Takes and ignores any arguments."""
        if self.number is not None:
            raise Interrupted(self.number)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            if sys.stderr.isatty():
                os.write(sys.stderr.fileno(), b"\x1b[?25h")  # show the cursor again
            os._exit(128 + number)  # the last checkpoint is complete on the disk
        self.number = number
