import io
import json
import math
from pathlib import Path

import pytest

from keras_rnnlm.cli.main import run

Captured = pytest.CaptureFixture[str]
KEYS = {
    "nats",
    "tokens",
    "perplexity",
    "perplexity_without_oov",
    "word_perplexity",
    "bits_per_byte",
    "bits_per_character",
    "accuracy",
    "oov",
    "protocol",
    "seconds",
}


def test_figures_for_people(
    english_model: Path, english_file: Path, capsys: Captured
) -> None:
    assert run(["evaluate", str(english_model), str(english_file)]) == 0
    said = capsys.readouterr().out
    assert "perplexity per word" in said
    assert "protocol" in said
    assert "bits per byte" in said


def test_one_json_object(
    english_model: Path, english_file: Path, english_text: str, capsys: Captured
) -> None:
    assert run(["evaluate", str(english_model), str(english_file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) >= KEYS
    words, lines = len(english_text.split()), english_text.count("\n")
    assert found["tokens"] == words + lines
    assert found["perplexity"] == pytest.approx(
        math.exp(found["nats"] / found["tokens"])
    )


def test_characters_have_no_word_perplexity(
    chinese_model: Path, chinese_file: Path, chinese_text: str, capsys: Captured
) -> None:
    assert run(["evaluate", str(chinese_model), str(chinese_file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["word_perplexity"] is None
    assert found["tokens"] == len(chinese_text) - 1
    assert run(["evaluate", str(chinese_model), str(chinese_file)]) == 0
    assert "written word" not in capsys.readouterr().out


def test_protocol_and_batch_size(
    english_model: Path, english_file: Path, capsys: Captured
) -> None:
    figures = []
    for size in ("1", "7"):
        arguments = ["--protocol", "window:8", "--batch-size", size, "--json"]
        assert run(["evaluate", str(english_model), str(english_file), *arguments]) == 0
        figures.append(json.loads(capsys.readouterr().out))
    assert figures[0]["protocol"] == "window:8"
    assert figures[0]["nats"] == pytest.approx(figures[1]["nats"], rel=1e-6)


def test_standard_input(
    english_model: Path,
    english_file: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run(["evaluate", str(english_model), str(english_file), "--json"]) == 0
    from_file = json.loads(capsys.readouterr().out)
    with english_file.open("rb") as stream:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(stream))
        assert run(["evaluate", str(english_model), "-", "--cache", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["nats"] == from_file["nats"]


def test_an_unknown_protocol(
    english_model: Path, english_file: Path, capsys: Captured
) -> None:
    arguments = ["evaluate", str(english_model), str(english_file)]
    assert run([*arguments, "--protocol", "sentense"]) == 2
    assert "Did you mean 'sentence'?" in capsys.readouterr().err
