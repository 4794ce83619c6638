from pathlib import Path

import pytest

from keras_rnnlm.cli.main import run
from tests.cli.conftest import QUICK
from tests.training.test_tensorboard import read


def test_train_writes_events(
    english_file: Path, inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(english_file), "--tokenizer", "char", "--out", "runs/mine"]
    assert run([*words, *QUICK, "--tensorboard", "board"]) == 0
    found = read(inside / "board" / "mine")
    assert [step for step, _ in found["valid/loss"]] == [30, 60]
    assert "train/learning_rate" in found
    (inside / "file").touch()
    words[-1] = "runs/other"
    assert run([*words, *QUICK, "--tensorboard", "file"]) == 2
    assert "Choose another folder for TensorBoard" in capsys.readouterr().err
