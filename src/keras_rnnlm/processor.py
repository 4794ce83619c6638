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


def usual_precision() -> str:
    """Return the Keras policy that trains fastest on this processor.

    `mixed_bfloat16` where it has a dot product for bfloat16 (AVX-512 BF16) that our C++
    products use, else `float32`.
    """
    return "mixed_bfloat16" if "avx512_bf16" in processor_flags() else "float32"


def visible_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
