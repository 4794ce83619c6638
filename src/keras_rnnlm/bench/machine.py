"""What the figures were measured on and with."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from keras_rnnlm import __version__

PACKAGES = (
    "jax",
    "jaxlib",
    "keras",
    "numpy",
    "onnxruntime",
    "tensorflow",
    "tensorflow-cpu",
    "torch",
)
FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "asimd", "bf16")
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def visible_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """Return the kind of machine: system, processor, cores, caches; no names."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor("model name") or platform.processor() or "unknown",
        "instructions": [flag for flag in FLAGS if flag in _flags()],
        "cores": visible_cores(),
        "caches": cache_bytes(),
    }


def versions() -> dict[str, str]:
    """Return the version of Python, of ours and of what is installed beside it."""
    found = {"python": platform.python_version(), "keras-rnnlm": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


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


def machine_kind(facts: dict[str, Any]) -> str:
    """Return a name for files, such as `amd-epyc-2-cores`, from `machine()`."""
    words = re.sub(r"\(.*?\)|@.*|\bCPU\b|\bProcessor\b", " ", facts["processor"])
    slug = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
    return f"{slug}-{facts['cores']}-cores"


def _flags() -> set[str]:
    return set((_processor("flags") or _processor("Features") or "").split())


def _processor(key: str) -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(rf"^{key}\s*:\s*(.*)$", text, re.MULTILINE)
    return found.group(1).strip() if found else ""
