import json
import shutil
from pathlib import Path

import pytest

from keras_rnnlm.cli.main import run

Captured = pytest.CaptureFixture[str]
QUICK = ["--set=max_steps=6", "--set=batch_size=4", "--set=validations=1"]


@pytest.fixture
def new_text(tmp_path: Path) -> Path:
    path = tmp_path / "new.txt"
    path.write_text("the gnu asked the yak\nthe yak said nothing\n" * 40)
    return path


def test_adapt_reports_before_and_after(
    english_model: Path,
    english_file: Path,
    new_text: Path,
    inside: Path,
    capsys: Captured,
) -> None:
    old = ["--old", str(english_file), "--old-valid", str(english_file)]
    words = ["--new-words", "2", "--json"]
    command = ["adapt", str(english_model), str(new_text), *old, *words, *QUICK]
    assert run(command) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert report["adaptation"]["replay"] == 0.5
    assert report["adaptation"]["words_added"] >= 1
    assert report["command"] == ["rnnlm", *command]
    assert "old perplexity" in err and ", before " in err
    folder = Path("runs/model-new")
    assert run(["generate", str(folder), "--prompt", "the gnu", "--tokens", "3"]) == 0
    assert run(["evaluate", str(folder), str(new_text)]) == 0


def test_a_line_is_measured_on_itself(
    english_model: Path, inside: Path, capsys: Captured
) -> None:
    Path("line.txt").write_text("the keeper lights the lamp\n")
    assert run(["adapt", str(english_model), "line.txt", *QUICK, "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)["adaptation"]
    assert found["before"] == {"valid": None, "test": None}
    before, after = found["train_text_before"], found["train_text_after"]
    assert after["perplexity"] < before["perplexity"]
    (row,) = [row for row in err.splitlines() if row.startswith("training text")]
    assert ", before " in row
    assert "on the text that was trained on" in err


def test_what_is_wrong_is_said_before_anything_heavy(
    english_model: Path, new_text: Path, inside: Path, capsys: Captured
) -> None:
    model = str(english_model)
    assert run(["adapt", model, str(new_text), "--set", "units=99"]) == 2
    assert "A network keeps its shape" in capsys.readouterr().err
    assert run(["adapt", model, str(new_text), "--replay", "0.5"]) == 2
    assert "--old TEXT" in capsys.readouterr().err
    assert run(["adapt", model, str(new_text), "--resume"]) == 2
    assert "--resume needs --out" in capsys.readouterr().err
    (inside / "empty.txt").write_text("")
    assert run(["adapt", model, "empty.txt"]) == 2
    assert run(["adapt", "nowhere", str(new_text)]) == 2
    assert not Path("runs").exists() or not list(Path("runs").iterdir())


def test_a_single_line_by_learning_or_by_a_cache(
    english_model: Path, inside: Path, capsys: Captured
) -> None:
    line = inside / "line.txt"
    line.write_text("the fox and the fox and the fox\n")
    text = inside / "text.txt"
    text.write_text("the fox and the crow\n" * 3)
    figures = []
    for options in ([], ["--by", "dynamic"], ["--by", "cache"]):
        example = ["--example", str(line), *options] if options else []
        command = ["evaluate", str(english_model), str(text), *example, "--json"]
        assert run(command) == 0
        figures.append(json.loads(capsys.readouterr().out)["perplexity"])
    assert figures[1] < figures[0] and figures[2] < figures[0]
    example = ["--example", str(line), "--by", "cache"]
    assert run(["score", str(english_model), str(text), *example]) == 0
    assert run(["generate", str(english_model), "--tokens", "4", *example]) == 0
    capsys.readouterr()
    packed = ["--weights", "int8", *example]
    assert run(["generate", str(english_model), *packed]) == 2
    assert "has no cache" in capsys.readouterr().err
    assert run(["evaluate", str(english_model), str(text), "--dynamic", *example]) == 2
    for by in ("dynamic", "cache"):
        system = ["--system", "--example", str(line), "--by", by]
        assert run(["evaluate", str(english_model), str(text), *system]) == 2
        said = capsys.readouterr().err
        assert "--system was fitted to the weights" in said
        assert "tune-evaluation" not in said
    shutil.rmtree(inside / "runs", ignore_errors=True)
