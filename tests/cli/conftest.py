"""Two small trained models, made once by the command line itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from keras_rnnlm.cli.main import run

SMALL = ["--seed", "3", "--set=units=24", "--set=layers=1", "--set=steps=16"]
QUICK = [*SMALL, "--set=max_steps=60", "--set=validations=2", "--set=batch_size=8"]


def trained(text: Path, out: Path, *options: str) -> Path:
    assert run(["train", str(text), "--out", str(out), *QUICK, *options]) == 0
    return out


@pytest.fixture(scope="session")
def english_model(english_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A word model; read it, do not write to it."""
    out = tmp_path_factory.mktemp("english") / "model"
    return trained(english_file, out, "--tokenizer", "word")


@pytest.fixture(scope="session")
def chinese_model(chinese_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A character model; read it, do not write to it."""
    return trained(chinese_file, tmp_path_factory.mktemp("chinese") / "model")


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder that the command runs in."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
