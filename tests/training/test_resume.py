"""A run that was killed and resumed ends as if it had not been: real processes."""

import signal
from pathlib import Path

import numpy as np
import pytest

from tests.training.kill_and_resume import interrupt, log_rows, start, weights


@pytest.mark.slow
def test_killed_and_resumed_runs_end_bit_equal(tmp_path: Path) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "run"
    assert start(whole).wait(timeout=300) == 0
    codes = interrupt(folder, [signal.SIGKILL, signal.SIGINT])
    assert set(codes[:-1]) <= {-signal.SIGKILL, 130, -signal.SIGINT}
    found = weights(folder)
    for name, array in weights(whole).items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert log_rows(folder) == log_rows(whole)
