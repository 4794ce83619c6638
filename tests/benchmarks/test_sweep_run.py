import json
from pathlib import Path

import pytest

from keras_rnnlm.bench.kept import slug
from tests.benchmarks.scripts import run, script

sweeps = script("sweeps/run")

SWEEP = """
[base.ptb]
units = 8
layers = 1

[[sweep]]
text = "ptb"
minutes = 1
set = ["minutes=none", "max_steps=4"]
grid = { batch_size = [2, 4] }
"""


@pytest.mark.slow
def test_runs_leave_a_line_each_and_their_logs(
    english_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "ptb").mkdir()
    for part in ("train", "valid"):
        (tmp_path / "ptb" / f"{part}.txt").write_bytes(english_file.read_bytes())
    (tmp_path / "sweep.toml").write_text(SWEEP, encoding="utf-8")
    out, logs = tmp_path / "runs.jsonl", tmp_path / "logs"
    options = ["--data", tmp_path, "--out", out, "--keep", logs]
    done = run("sweeps/run", tmp_path / "sweep.toml", *options)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [row["batch_size"] for row in rows] == [2, 4]
    assert {path.name for path in logs.iterdir()} == {slug(row["key"]) for row in rows}
    for row in rows:
        kept = logs / slug(row["key"])
        assert {path.name for path in kept.iterdir()} == {
            "report.json",
            "training.jsonl",
        }
        report = json.loads((kept / "report.json").read_text("utf-8"))
        assert round(report["valid"]["loss"], 5) == row["nats"]
        assert report["settings"]["batch_size"] == row["batch_size"]
    again = run("sweeps/run", tmp_path / "sweep.toml", *options)
    assert again.returncode == 0 and again.stdout == ""


def test_points_of_a_grid_and_their_keys() -> None:
    sweep = {"text": "ptb", "minutes": 1, "set": ["cell=gru"], "grid": {"units": [8]}}
    (sets,) = sweeps.points(sweep, {"layers": 1})
    assert sets == ["layers=1", "cell=gru", "units=8"]
    assert sweeps.key_of(sweep, sets) == "ptb 1 1 cell=gru layers=1 units=8"
