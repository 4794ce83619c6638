import io
import json
from pathlib import Path

import pytest

from keras_rnnlm.cli.main import run
from keras_rnnlm.cli.score import FORMATS, _lines
from keras_rnnlm.scoring import formats

Captured = pytest.CaptureFixture[str]


def scored(
    model: Path, file: Path | str, form: str, capsys: Captured, *options: str
) -> str:
    assert run(["score", str(model), str(file), "--format", form, *options]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_the_formats_are_those_of_the_library() -> None:
    assert set(FORMATS) == set(formats.FORMATS)


def test_a_score_for_each_line(
    english_model: Path, english_file: Path, english_text: str, capsys: Captured
) -> None:
    totals = scored(english_model, english_file, "total", capsys).splitlines()
    assert len(totals) == english_text.count("\n")  # empty lines too
    rows = scored(english_model, english_file, "words", capsys).split("\n\n")
    objects = scored(english_model, english_file, "jsonl", capsys).splitlines()
    for total, row, found in zip(totals, rows, map(json.loads, objects), strict=False):
        words = [line.split("\t") for line in row.splitlines()]
        assert float(total) == pytest.approx(sum(float(w[1]) for w in words), abs=1e-4)
        assert float(total) == pytest.approx(found["log_probability"], abs=1e-5)


def test_standard_input_is_the_default(
    chinese_model: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO("灯亮了。\n\n船".encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    assert run(["score", str(chinese_model), "--format", "total"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_batch_size_changes_nothing(
    english_model: Path, english_file: Path, capsys: Captured
) -> None:
    one = scored(english_model, english_file, "total", capsys, "--batch-size", "1")
    all_ = scored(english_model, english_file, "total", capsys)
    assert [float(x) for x in one.split()] == pytest.approx(
        [float(x) for x in all_.split()], abs=1e-4
    )


def test_lines_are_cut_at_line_ends_alone() -> None:
    assert list(_lines(["a\u2028b\nc", "d\n", "\ne"])) == ["a\u2028b", "cd", "", "e"]
    assert list(_lines(["a\n"])) == ["a"]
    assert list(_lines([])) == []
