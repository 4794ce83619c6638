"""The scripts in `benchmarks/`, which are no package, as modules and as commands."""

import importlib.util
import os
import subprocess
import sys
from types import ModuleType

from tests.conftest import CHECKOUT

FOLDER = CHECKOUT / "benchmarks"


def script(name: str) -> ModuleType:
    """Import `benchmarks/<name>.py`."""
    spec = importlib.util.spec_from_file_location(
        f"benchmarks_{name}", FOLDER / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run it as its reader does."""
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        [sys.executable, FOLDER / f"{name}.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
