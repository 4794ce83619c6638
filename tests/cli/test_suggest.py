"""`rnnlm suggest`: what it prints and writes, and what it refuses."""

import json
import tomllib

import pytest

from keras_rnnlm.cli.main import run

LINES = [f"the {a} {b} the {c}" for a in "abcd" for b in "efgh" for c in "ijkl"] * 4


@pytest.fixture
def text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "text.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return str(path)


def test_a_recipe_with_reasons(text, tmp_path, capsys):
    args = ["--minutes", "0.5", "--tokenizer", "char", "--set", "units=32"]
    assert run(["suggest", text, *args, "--range-test", "range.png"]) == 0
    printed = capsys.readouterr()
    assert "units = 32" in printed.out
    assert "Given, not chosen." in printed.out
    recipe = tmp_path / "runs" / "text-suggested.toml"
    assert f"--recipe runs/{recipe.name}" in printed.err
    values = tomllib.loads(recipe.read_text("utf-8"))
    assert (values["minutes"], values["units"]) == (0.5, 32)
    assert (tmp_path / "range.png").read_bytes().startswith(b"\x89PNG")


def test_json(text, capsys):
    args = ["--minutes", "0.5", "--set", "units=16", "--set", "precision=float32"]
    assert run(["suggest", text, *args, "--out", "a.toml", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["settings"]["units"] == 16
    assert found["passes"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "minutes=3"], "--minutes says"),
        (["--set", "network=transformer"], "rnnlm tune"),
        (["--set", "unit=3"], "units"),
        (["--out", "recipe.txt"], ".toml"),
        (["--set", "system_minutes=1"], "part of 'minutes'"),
        (["--range-test", "a.png", "--set", "learning_rate=1"], "Leave one of them"),
    ],
)
def test_what_cannot_be_is_refused(text, capsys, arguments, words):
    assert run(["suggest", text, "--minutes", "1", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_an_existing_recipe_stays(text, tmp_path, capsys):
    (tmp_path / "mine.toml").write_text("units = 1\n", encoding="utf-8")
    assert run(["suggest", text, "--minutes", "1", "--out", "mine.toml"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "mine.toml").read_text("utf-8") == "units = 1\n"
