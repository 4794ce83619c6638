"""Members that are killed together go on together: real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import only_on
from tests.training.kill_and_resume import ROOT, TEXT, log_rows, weights

RUN = f"""
import sys
import keras_rnnlm as krl
from keras_rnnlm.training.train_members import train_members
corpus = krl.Corpus.from_files({str(TEXT)!r}, tokenizer="char", split=(0.8, 0.2))
settings = krl.Settings(
    units=24, layers=2, dropout=0.2, embedding_dropout=0.1, weight_dropout=0.1,
    average=0.99, batch_size=4, steps=8, max_steps=1500, validations=5,
)
train_members(corpus, settings, sys.argv[1], 2, resume=True)
"""


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start or resume the run in `folder`."""
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    environment.pop("JAX_DISABLE_MOST_OPTIMIZATIONS", None)  # compile as users do
    return subprocess.Popen([sys.executable, "-c", RUN, str(folder)], env=environment)


@pytest.mark.slow
def test_killed_and_resumed_members_end_bit_equal(tmp_path: Path) -> None:
    only_on("jax")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(whole).wait(timeout=300) == 0
    process, checkpoint = start(killed), killed / "checkpoint.safetensors"
    while process.poll() is None and not checkpoint.exists():
        time.sleep(0.02)
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL  # it was still at work
    assert start(killed).wait(timeout=300) == 0
    for member in ("member-1", "member-2"):
        found = weights(killed / member)
        for name, array in weights(whole / member).items():
            np.testing.assert_array_equal(found[name], array, err_msg=name)
        assert log_rows(killed / member) == log_rows(whole / member)
