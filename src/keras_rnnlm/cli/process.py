"""When this process began, for a time budget that counts from its very start."""

import os
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
