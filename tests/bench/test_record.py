import json
from pathlib import Path

from keras_rnnlm.bench.record import write_figures
from tests.benchmarks.scripts import script


def test_a_record_becomes_a_table(tmp_path: Path) -> None:
    path = tmp_path / "nbest.json"
    arguments = ["/somewhere/test.txt", "--rounds", "3"]
    rows = [{"way": "shared", "tokens/s": 12345.6}, {"way": "alone", "ratio": 3.0}]
    write_figures(path, "nbest", arguments, "n-best lists", rows)
    record = json.loads(path.read_text("utf-8"))
    assert record["command"] == "python benchmarks/nbest.py test.txt --rounds 3"
    lines = script("tables").section("nbest.json", record)
    assert lines[-4:] == [
        "| way | tokens/s | ratio |",
        "| --- | --- | --- |",
        "| shared | 12,346 |  |",
        "| alone |  | 3 |",
    ]


def test_without_a_path_nothing_is_written(tmp_path: Path) -> None:
    write_figures(None, "nbest", [], "n-best lists", [])
    assert not list(tmp_path.iterdir())
