import io
import json
from pathlib import Path

import pytest

from keras_rnnlm.cli.main import run

Captured = pytest.CaptureFixture[str]
QUICK = ["--tokens", "12", "--sample", "120", "--reach", "4"]


def test_a_page_and_what_people_ask_first(
    english_model: Path, english_file: Path, inside: Path, capsys: Captured
) -> None:
    command = ["explain", str(english_model), str(english_file), "--out", "r.html"]
    assert run([*command, *QUICK, "--png"]) == 0
    out, err = capsys.readouterr()
    for row in ("words shown", "surprisal", "completeness", "effective memory"):
        assert row in out
    assert "calibration error" in out and "goes on" in out
    assert "Wrote r.html, r-surprisal.png" in err
    page = (inside / "r.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "english.txt" in page
    assert len(list(inside.glob("*.png"))) == 5


def test_figures_as_json(
    chinese_model: Path,
    inside: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = io.TextIOWrapper(io.BytesIO("灯亮了。\n船来了。".encode()))
    monkeypatch.setattr("sys.stdin", text)
    command = ["explain", str(chinese_model), "-", "--out", "r.json", "--json"]
    assert run([*command, *QUICK, "--baseline", "zero", "--cache"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((inside / "r.json").read_text(encoding="utf-8"))
    assert "".join(token["text"] for token in printed["tokens"]) == "灯亮了。\n船来了。"
    assert printed["attribution"]["baseline"] == "zero"
    assert printed["cache"]["window"] == 500
    assert printed["text"]["name"] == "standard input"


@pytest.mark.parametrize(
    ("out", "why"),
    [
        ("r.txt", "ends in .html or .json"),
        ("a/r.html", "a folder that exists"),
        (".", "for example 'report.html'"),
    ],
)
def test_what_cannot_be_written_is_said_first(
    out: str, why: str, english_model: Path, english_file: Path, capsys: Captured
) -> None:
    assert run(["explain", str(english_model), str(english_file), "--out", out]) == 2
    assert why in capsys.readouterr().err


def test_an_empty_text(english_model: Path, inside: Path, capsys: Captured) -> None:
    (inside / "empty.txt").write_text("")
    (inside / "blank.txt").write_text("   ")
    for name in ("empty.txt", "blank.txt"):
        assert run(["explain", str(english_model), name, "--out", "r.html"]) == 2
        err = capsys.readouterr().err
        assert err.startswith("rnnlm: error: ") and len(err.splitlines()) == 1
        assert "text" in err
    assert not (inside / "r.html").exists()


def test_out_is_asked_for(english_model: Path, capsys: Captured) -> None:
    assert run(["explain", str(english_model), "x.txt"]) == 2
    assert "--out" in capsys.readouterr().err
