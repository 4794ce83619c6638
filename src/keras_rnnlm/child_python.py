"""How to start a Python process that finds the modules which this one finds."""

import os
import sys
from pathlib import Path


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module with this interpreter."""
    # -P: a `random.py` in the current folder is not to be found instead.
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(**variables: str) -> dict[str, str]:
    """Return the environment for `python`.

    Args:
        **variables: To set in it.
    """
    package = str(Path(__file__).parents[1])
    found = os.pathsep.join([package, *filter(None, sys.path)])
    return {**os.environ, "PYTHONPATH": found, **variables}
