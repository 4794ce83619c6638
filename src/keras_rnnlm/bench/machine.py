"""What the figures were measured on and with."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from keras_rnnlm import __version__
from keras_rnnlm.processor import processor_flags, processor_name, visible_cores

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


def machine() -> dict[str, Any]:
    """Return the kind of machine: system, processor, cores, caches; no names."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor_name(),
        "instructions": [flag for flag in FLAGS if flag in processor_flags()],
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
