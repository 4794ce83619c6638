"""This process: when it began, for a time budget, and how it was called."""

import os
import shlex
import shutil
import sys
import time
from pathlib import Path

_IMPORTED = time.monotonic()


def started_at() -> float:
    """Return when the process began, on the clock of `time.monotonic`.

    Linux tells it to a hundredth of a second; elsewhere it is when this was imported.
    """
    try:
        # Field 22 is the start in clock ticks since boot; the name in brackets before
        # it may hold spaces.
        fields = Path("/proc/self/stat").read_text("ascii").rpartition(")")[2].split()
        since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot
    except (OSError, ValueError, AttributeError, IndexError):
        return _IMPORTED
    return time.monotonic() - max(age, 0.0)


def program() -> str:
    """Return how this program is called from here: `rnnlm` if that is on the path."""
    found, called = shutil.which("rnnlm"), Path(sys.argv[0])
    if called.name != "rnnlm" or not called.exists():
        return "rnnlm"
    if found and Path(found).resolve() == called.resolve():
        return "rnnlm"
    return shlex.quote(str(called))
