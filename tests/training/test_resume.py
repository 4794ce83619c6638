"""A run that was killed and resumed ends as if it had not been: real processes."""

import signal
from pathlib import Path

import numpy as np
import pytest

from tests.training.kill_and_resume import interrupt, log_rows, start, weights


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert start(folder).wait(timeout=300) == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)]
)
def test_killed_and_resumed_runs_end_bit_equal(
    whole: Path, tmp_path: Path, number: int, code: int
) -> None:
    folder = tmp_path / "run"
    codes = interrupt(folder, number, kills=2)
    assert set(codes[:-1]) <= {code, -number}
    found = weights(folder)
    for name, array in weights(whole).items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert log_rows(folder) == log_rows(whole)
