"""What runs and figures are made on: the kind of machine, never its name."""

import os
import platform
from pathlib import Path
from typing import Any

from keras_rnnlm.processor import (
    processor_flags,
    processor_model,
    processor_name,
    visible_cores,
)

FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "asimd", "bf16")
"""Instruction set extensions that decide how fast matrix products are."""
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def machine() -> dict[str, Any]:
    """Return system, processor, instructions, cores, caches and memory, for JSON.

    Sizes are in bytes. What the system does not tell is empty, or None for the memory.
    """
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor_name(),
        "processor_model": processor_model(),
        "instructions": [flag for flag in FLAGS if flag in processor_flags()],
        "cores": visible_cores(),
        "caches": cache_bytes(),
        "memory": memory_bytes(),
    }


def cache_bytes() -> dict[str, int]:
    """Return the size of each data cache that the first core sees, by `L1`, `L2`..."""
    sizes = {}
    for folder in sorted(_CACHES.glob("index*")):
        try:
            kind = (folder / "type").read_text().strip()
            level = (folder / "level").read_text().strip()
            size = (folder / "size").read_text().strip()
        except OSError:
            continue
        if kind != "Instruction" and size.endswith("K"):
            sizes[f"L{level}"] = int(size[:-1]) << 10
    return sizes


def memory_bytes() -> int | None:
    """Return how much memory the machine has, or None where the system hides it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return None
