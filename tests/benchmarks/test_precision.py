import json
from pathlib import Path

import pytest

from tests.benchmarks.scripts import run


@pytest.mark.slow
def test_both_precisions_are_trained_alike(english_file: Path, tmp_path: Path) -> None:
    options = ["--model", "tiny", "--steps", 12, "--validations", 3]
    options += ["--json", tmp_path / "p.json", "--plot", tmp_path / "p.png"]
    done = run("precision", english_file, *options)
    assert done.returncode == 0, done.stderr
    assert "in the end, evaluated in float32" in done.stdout
    record = json.loads((tmp_path / "p.json").read_text("utf-8"))
    assert record["kind"] == "precision"
    both = record["precisions"]
    assert [row["step"] for row in both["float32"]["curve"]] == [4, 8, 12]
    assert [row["step"] for row in both["mixed_bfloat16"]["curve"]] == [4, 8, 12]
    losses = [both[name]["valid_loss"] for name in ("float32", "mixed_bfloat16")]
    assert record["difference"] == losses[1] / losses[0] - 1
    assert losses[0] != losses[1]  # they were trained in two precisions
    assert abs(record["difference"]) < 0.02
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_a_text_that_is_not_there(tmp_path: Path) -> None:
    done = run("precision", tmp_path / "none.txt", "--model", "tiny")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
