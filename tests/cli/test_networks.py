"""`rnnlm train --set network=...` and the commands that read such a model."""

import json
from pathlib import Path

import pytest

from keras_rnnlm.cli.main import run
from tests.cli.conftest import QUICK, trained


def test_a_transformer_from_the_command_line(
    english_file: Path, inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--set=network=transformer", "--set=heads=3", "--set=context=20"]
    folder = trained(english_file, inside / "m", *options)
    settings = json.loads((folder / "report.json").read_text("utf-8"))["settings"]
    assert settings["optimizer"] == "adamw"  # of the network's own recipe
    capsys.readouterr()
    assert run(["info", str(folder)]) == 0
    assert "transformer, 1 x 24 units" in capsys.readouterr().out
    assert run(["evaluate", str(folder), str(english_file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["perplexity"] > 1
    assert run(["generate", str(folder), "--tokens", "5", "--prompt", "the"]) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--set=network=transfomer"], "Did you mean 'transformer'?"),
        (["--set=kernel_width=3"], "goes with network=convolutional"),
    ],
)
def test_slips(
    english_file: Path,
    inside: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    says: str,
) -> None:
    assert run(["train", str(english_file), *QUICK, *options]) == 2
    assert says in capsys.readouterr().err
