import json
from pathlib import Path

import pytest

from keras_rnnlm.cli.main import run
from tests.cli.conftest import trained

Captured = pytest.CaptureFixture[str]


def test_for_people(english_model: Path, capsys: Captured) -> None:
    assert run(["info", str(english_model)]) == 0
    said = capsys.readouterr().out
    assert "lstm, 1 x 24 units" in said
    assert "word, vocabulary of" in said
    assert "test perplexity" in said


def test_one_json_object(chinese_model: Path, capsys: Captured) -> None:
    assert run(["info", str(chinese_model), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["network"]["units"] == 24
    assert found["tokenizer"]["kind"] == "char"
    assert found["parameters"] > 0
    assert found["report"]["test"]["tokens"] > 0


def test_a_model_saved_from_python_has_no_figures(
    english_model: Path, tmp_path: Path, capsys: Captured
) -> None:
    from keras_rnnlm import load

    load(english_model).save(tmp_path / "saved")
    assert run(["info", str(tmp_path / "saved")]) == 0
    said = capsys.readouterr().out
    assert "lstm, 1 x 24 units" in said
    assert "test perplexity" not in said


@pytest.mark.slow
def test_the_settings_of_a_cell_are_said_as_they_are_typed(
    english_file: Path, tmp_path: Path, capsys: Captured
) -> None:
    options = ["--set=cell=gru", "--set=cell_arguments.reset_after=false"]
    options += ["--set=max_steps=4", "--set=validations=1"]
    folder = trained(english_file, tmp_path / "m", *options)
    capsys.readouterr()
    assert run(["info", str(folder)]) == 0
    assert "gru (reset_after=false), 1 x 24 units" in capsys.readouterr().out
    assert run(["info", str(folder), "--json"]) == 0
    network = json.loads(capsys.readouterr().out)["network"]
    assert network["cell_arguments"] == {"reset_after": False}
    assert run(["evaluate", str(folder), str(english_file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["perplexity"] > 1
    assert run(["generate", str(folder), "--prompt", "the", "--seed", "1"]) == 0
    assert capsys.readouterr().out.strip()
    packed = ["generate", str(folder), "--weights", "int8", "--prompt", "the"]
    assert run(packed) == 2
    assert "gru cells with reset_after=false" in capsys.readouterr().err
