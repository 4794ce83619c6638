"""What this process computes on: its processor and the cores it may use."""

import ctypes
import os
import platform
from functools import lru_cache
from pathlib import Path

_NUMBERS = (
    "cpu family",
    "model",
    "stepping",
    "CPU implementer",
    "CPU variant",
    "CPU part",
)
"""How Linux names them: first those of x86, then those of ARM."""


@lru_cache(maxsize=1)
def processor_flags() -> frozenset[str]:
    """Return the names of this processor's instruction set extensions."""
    return frozenset(_told("flags", "Features").split())


@lru_cache(maxsize=1)
def processor_vendor() -> str:
    """Return the name of the processor's maker, as x86 tells it; empty elsewhere."""
    return _told("vendor_id")


@lru_cache(maxsize=1)
def processor_name() -> str:
    """Return what this processor calls itself."""
    return _told("model name") or platform.processor() or "unknown processor"


@lru_cache(maxsize=1)
def processor_model() -> str:
    """Return the numbers by which a maker tells processors of one name apart.

    Such as `cpu family 25, model 17, stepping 1`: a virtual machine may call two
    generations just "AMD EPYC". Empty where the system is silent.
    """
    found = ((key, _told(key)) for key in _NUMBERS)
    return ", ".join(f"{key} {value}" for key, value in found if value)


def usual_precision() -> str:
    """Return the Keras policy that trains fastest on this processor.

    `mixed_bfloat16` where our C++ products have a matrix unit for bfloat16 (AMX) or a
    dot product (AVX-512 BF16) that outruns that of float32. Intel's does not: it takes
    twice the time. JAX alone has those products, and `RNNLM_NATIVE` may have narrower
    instructions taken.
    """
    native = os.environ.get("RNNLM_NATIVE", "")
    ours = os.environ.get("KERAS_BACKEND") in (None, "", "jax")
    if not ours or native in ("off", "avx2", "portable"):
        return "float32"
    dot_product = "avx512_bf16" in processor_flags()
    quick = dot_product and processor_vendor() != "GenuineIntel"
    unit = native != "avx512" and has_matrix_unit()
    return "mixed_bfloat16" if quick or unit else "float32"


@lru_cache(maxsize=1)
def has_matrix_unit() -> bool:
    """Whether this process may multiply tiles of bfloat16 (AMX).

    Linux lends their registers to a process that asks for them, which this does. Not
    every container or virtual machine lets it.
    """
    if not {"amx_tile", "amx_bf16"} <= processor_flags():
        return False
    arch_prctl, request_permission, tile_data = 158, 0x1023, 18
    syscall = ctypes.CDLL(None).syscall
    return bool(syscall(arch_prctl, request_permission, tile_data) == 0)


def visible_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _told(*keys: str) -> str:
    """Return what Linux says of the first core under one of some keys."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in keys:
                return value.strip()
    except OSError:
        pass
    return ""
