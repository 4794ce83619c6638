import json
from pathlib import Path

import pytest

from keras_rnnlm.cli.main import run

TINY = ["--models", "tiny", "--tasks", "training", "--rounds", "1", "--seconds", "0.01"]
Captured = pytest.CaptureFixture[str]


@pytest.mark.slow
def test_tables_a_record_and_a_picture(inside: Path, capsys: Captured) -> None:
    options = ["--json", "-", "--plot", "bench.png", "--peers", "ours-float32"]
    assert run(["bench", *TINY, *options]) == 0
    said = capsys.readouterr()
    # The record alone goes to stdout, what is for people to stderr.
    record = json.loads(said.out)
    assert record["kind"] == "comparison"
    assert record["command"] == f"rnnlm bench {' '.join([*TINY, *options])}"
    assert [row["peer"] for row in record["results"]] == ["ours-float32"]
    assert "training: LSTM 2 x 16, vocabulary 50, batch 4, 8 steps" in said.err
    assert "matrix products in bfloat16" in said.err
    assert "ceiling in float32" in said.err
    assert max(map(len, said.err.splitlines())) <= 100
    assert (inside / "bench.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--models", "word-651"], "no model 'word-651' to measure. Did you mean"),
        (["--peers", "caffe"], "no contestant 'caffe'"),
        (["--cells", "lstn"], "no cell 'lstn'. Did you mean 'lstm'?"),
        (["--tasks", "sleeping"], "no task 'sleeping'"),
        (
            ["--json", "nowhere/bench.json"],
            "folder that exists, received 'nowhere/bench.json'",
        ),
        (["--rounds", "0"], "--rounds"),
    ],
)
def test_mistakes(
    options: list[str], message: str, inside: Path, capsys: Captured
) -> None:
    assert run(["bench", *options]) == 2
    assert message in capsys.readouterr().err
