import json
from pathlib import Path

import pytest

from keras_rnnlm.cli.main import run

TINY = ["--models", "tiny", "--tasks", "training", "--rounds", "1", "--seconds", "0.01"]
Captured = pytest.CaptureFixture[str]


@pytest.mark.slow
def test_tables_a_record_and_a_picture(inside: Path, capsys: Captured) -> None:
    names = "ours-float32,onnxruntime"
    options = ["--json", "bench.json", "--plot", "bench.png", "--peers", names]
    assert run(["bench", *TINY, *options]) == 0
    said = capsys.readouterr()
    assert "training: LSTM 2 x 16, vocabulary 50, batch 4, 8 steps" in said.out
    assert "ours-float32" in said.out
    assert "matrix products in bfloat16" in said.out
    assert max(map(len, said.out.splitlines())) <= 100
    assert "ceiling in float32" in said.err
    record = json.loads((inside / "bench.json").read_text("utf-8"))
    assert record["command"] == f"rnnlm bench {' '.join([*TINY, *options])}"
    assert [row["peer"] for row in record["results"]] == ["ours-float32"]
    assert (inside / "bench.png").stat().st_size > 1000


@pytest.mark.slow
def test_a_record_on_stdout_leaves_the_tables_to_stderr(capsys: Captured) -> None:
    assert run(["bench", *TINY, "--peers", "ours-float32", "--json", "-"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["kind"] == "comparison"
    assert "of ceiling" in said.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--models", "word-651"], "no model 'word-651' to measure. Did you mean"),
        (["--peers", "caffe"], "no contestant 'caffe'"),
        (["--cells", "lstn"], "no cell 'lstn'. Did you mean 'lstm'?"),
        (["--tasks", "sleeping"], "no task 'sleeping'"),
        (["--json", "nowhere/bench.json"], "no folder to write 'nowhere/bench.json'"),
        (["--rounds", "0"], "--rounds"),
    ],
)
def test_mistakes(
    options: list[str], message: str, inside: Path, capsys: Captured
) -> None:
    assert run(["bench", *options]) == 2
    assert message in capsys.readouterr().err
