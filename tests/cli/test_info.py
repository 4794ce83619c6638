import json
from pathlib import Path

import pytest

from keras_rnnlm.cli.main import run

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
