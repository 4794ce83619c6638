"""Where the package keeps what it can make again: encoded texts, compiled kernels."""

import os
from pathlib import Path


def cache_folder(folder: Path | str | None = None) -> Path:
    """Return the folder given, or the default one.

    That is `$RNNLM_CACHE`, else `$XDG_CACHE_HOME/keras-rnnlm`, else
    `~/.cache/keras-rnnlm`.
    """
    if folder is not None:
        return Path(folder)
    if chosen := os.environ.get("RNNLM_CACHE"):
        return Path(chosen)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "keras-rnnlm"
    return Path.home() / ".cache" / "keras-rnnlm"
