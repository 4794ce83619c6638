"""The example of a cell of one's own, run as its reader runs it."""

import os
import subprocess
import sys

from tests.conftest import CHECKOUT


def test_the_example_checks_its_cell() -> None:
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, CHECKOUT / "examples" / "my_cell.py"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "leaky is a cell.\n"
