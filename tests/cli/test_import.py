"""`--import FILE`: a cell of one's own on the command line."""

import json
import sys
from pathlib import Path

import pytest

from keras_rnnlm import cell_registry
from keras_rnnlm.cli.main import run
from tests.cli.conftest import QUICK
from tests.conftest import CHECKOUT

EXAMPLE = CHECKOUT / "examples" / "my_cell.py"


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_registry, "_registered", {})
    monkeypatch.delitem(sys.modules, "my_cell", raising=False)


def test_a_cell_of_ones_own_from_training_to_text(
    english_file: Path,
    inside: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = ["--import", str(EXAMPLE)]
    arguments = ["train", str(english_file), "--out", "model", *QUICK, *own]
    arguments += ["--set=cell=leaky", "--set=cell_arguments.leak=-1.0"]
    assert run(arguments) == 0
    capsys.readouterr()
    for verb in (
        ["info", "model"],
        ["generate", "model", "--tokens", "5"],
        ["evaluate", "model", str(english_file)],
        ["score", "model", str(english_file), "--format", "total"],
        ["ngram", str(english_file), "--model", "model"],
    ):
        assert run([*verb, *own]) == 0
    assert "leaky (leak=-1.0), 1 x 24 units" in capsys.readouterr().out
    # Without the file, and never from the folder.
    monkeypatch.setattr(cell_registry, "_registered", {})
    assert run(["generate", "model"]) == 2
    said = capsys.readouterr().err
    assert "has the cell 'leaky', which is not registered here" in said
    assert "--import FILE" in said
    config = json.loads(Path("model", "config.json").read_text())
    assert config["network"]["cell_arguments"] == {"leak": -1.0}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "expected a Python file, received 'own.py', which does not exist"),
        ("x = 1\nraise OSError('no')\n", "failed at line 2: OSError: no"),
        ("x = (\n", "failed at line 1: SyntaxError"),
    ],
)
def test_says_what_is_wrong_with_the_file(
    content: str | None, says: str, inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        Path("own.py").write_text(content)
    assert run(["info", "model", "--import", "own.py"]) == 2
    assert says in capsys.readouterr().err
    assert "own" not in sys.modules


def test_a_module_of_that_name_is_left_alone(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("json.py").write_text("raise AssertionError")
    assert run(["info", "model", "--import", "json.py"]) == 2
    assert "a module 'json' is loaded already" in capsys.readouterr().err
