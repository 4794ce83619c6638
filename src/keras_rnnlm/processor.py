"""What this process computes on: its processor and the cores it may use."""

import os
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def processor_flags() -> frozenset[str]:
    """Return the names of this processor's instruction set extensions."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("flags", "Features")):
                return frozenset(line.partition(":")[2].split())
    except OSError:
        pass
    return frozenset()


def visible_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
