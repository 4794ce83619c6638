import json
from pathlib import Path

import pytest

from keras_rnnlm.cli.main import run
from keras_rnnlm.models.ensemble_folder import ensemble_file
from tests.search.test_plot import is_picture

Captured = pytest.CaptureFixture[str]


def test_curves_and_time(
    english_model: Path, chinese_model: Path, inside: Path, capsys: Captured
) -> None:
    words = ["plot", str(english_model), str(chinese_model), "--out", "pictures"]
    assert run(words) == 0
    assert "curves.png, time.png: in pictures" in capsys.readouterr().err
    for name in ("curves.png", "time.png"):
        assert is_picture(inside / "pictures" / name)
    assert run(["plot", str(english_model)]) == 0
    assert is_picture(inside / "curves.png")


def test_frequency_and_position(
    chinese_model: Path, chinese_file: Path, inside: Path, capsys: Captured
) -> None:
    words = ["plot", str(chinese_model), "--text", str(chinese_file), "--json"]
    assert run([*words, "--counts", str(chinese_file)]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    for kind in ("frequency", "position"):
        assert is_picture(inside / f"{kind}.png")
        (classes,) = found[kind].values()
        total = sum(each["predictions"] for each in classes)
    assert "frequency.png, position.png: in ." in said.err

    # The parts add up to the whole.
    words = ["evaluate", str(chinese_model), str(chinese_file), "--json"]
    assert run(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert total == report["tokens"]
    nats = sum(each["nats"] for each in classes)
    assert nats == pytest.approx(report["nats"], rel=1e-5)


def test_members_of_an_ensemble(
    english_model: Path, english_file: Path, inside: Path, capsys: Captured
) -> None:
    (inside / "several").mkdir()
    (inside / "several" / "ensemble.json").write_bytes(ensemble_file([3]))
    (inside / "several" / "member-1").symlink_to(english_model)
    assert run(["plot", "several"]) == 0
    assert is_picture(inside / "curves.png")
    capsys.readouterr()
    assert run(["plot", "several", "--text", str(english_file), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["frequency"]) == {"model"}


def test_models_of_different_tokens_have_no_axis_in_common(
    english_model: Path,
    chinese_model: Path,
    english_file: Path,
    inside: Path,
    capsys: Captured,
) -> None:
    words = ["plot", str(english_model), str(chinese_model)]
    assert run([*words, "--text", str(english_file)]) == 2
    said = capsys.readouterr().err
    assert "Expected models of words alone" in said and "of characters" in said
    assert not (inside / "frequency.png").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--kind", "position"], "give --text FILE"),
        (["--kind", "pie"], "'pie' is not one of"),
        (["--text", "none.txt"], "run"),
        ([], "has no training.jsonl"),
    ],
)
def test_slips(inside: Path, capsys: Captured, options: list[str], says: str) -> None:
    (inside / "run").mkdir()
    assert run(["plot", "run", *options]) == 2
    said = capsys.readouterr().err
    assert says in said and "Traceback" not in said
