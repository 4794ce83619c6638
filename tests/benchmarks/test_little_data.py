"""What helps where text is short: a small search with real trainings, and its table."""

import json
from pathlib import Path

import pytest

from keras_rnnlm.bench.kept import slug
from tests.benchmarks.scripts import run, script
from tests.conftest import CHECKOUT

little = script("little_data")

WAYS = """
[base]
set = ["units=256", "layers=1", "batch_size=2", "steps=8", "validations=1"]

[[way]]
name = "nothing"

[[way]]
name = "vectors, frozen"
set = ["vectors={vectors}", "vectors_frozen=true"]

[[way]]
name = "adapted"
adapt = true
"""


@pytest.mark.slow
def test_runs_are_kept_and_not_repeated(english_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("gensim", reason="needs gensim (keras-rnnlm[vectors])")
    for part in ("train", "valid", "test"):
        (tmp_path / f"{part}.txt").write_bytes(english_file.read_bytes())
    (tmp_path / "ways.toml").write_text(WAYS, encoding="utf-8")
    out = tmp_path / "runs.jsonl"
    options = ["--data", tmp_path, "--work", tmp_path / "work", "--out", out]
    options += ["--larger", english_file, "--larger-minutes", 0.1, "--minutes", 0.1]
    options += ["--ways", tmp_path / "ways.toml", "--share", 0.5, "--seeds", 3]
    options += ["--keep", tmp_path / "logs"]
    done = run("little_data", *options, "--only", "vectors|adapted")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [row["way"] for row in rows] == ["vectors, frozen", "adapted"]
    for row in rows:
        assert row["test"] > 1 and row["curve"] and row["seed"] == 3
        kept = tmp_path / "logs" / slug(row["key"])
        report = json.loads((kept / "report.json").read_text("utf-8"))
        assert round(report["test"]["word_perplexity"], 3) == row["test"]
        assert (kept / "training.jsonl").is_file()
    again = run("little_data", *options, "--only", "vectors|adapted")
    assert again.returncode == 0 and again.stdout == ""


def test_the_table_of_the_page_is_that_of_the_runs() -> None:
    page = (CHECKOUT / "docs" / "little-data.md").read_text("utf-8")
    shown = page.partition("<!-- little data -->")[2].partition("<!-- end -->")[0]
    runs = CHECKOUT / "benchmarks" / "results" / "little-data" / "ptb.jsonl"
    assert shown.strip() == little.table(little.rows_of(runs)).strip()


def test_the_table() -> None:
    def row(way: str, seed: int, test: float, curve: list[list[float]]) -> object:
        base = {"share": 0.1, "minutes": 1.5, "set": [], "weights": 3_400_000}
        valid = 200.0 if way == "nothing" else test
        more = {"epochs": 9.0, "valid": valid, "test": test, "curve": curve}
        return {**base, "way": way, "seed": seed, **more}

    told = little.table(
        [
            row("nothing", 0, 210.0, []),
            row("nothing", 1, 212.0, []),
            row("vectors", 0, 180.0, [[20.0, 5.4], [40.0, 5.2]]),
            row("vectors", 1, 182.0, [[30.0, 5.29], [40.0, 5.2]]),
        ]
    )
    assert told.splitlines() == [
        "10% of the text, 1.5 minutes:",
        "",
        "| | weights | passes | test perplexity a word | seconds to match |",
        "|---|---|---|---|---|",
        "| nothing | 3.4M | 9 | 211.0 (210.0 to 212.0) |  |",
        "| vectors | 3.4M | 9 | **181.0 (180.0 to 182.0)** | 35 |",
    ]


def test_a_text_as_penn_treebank_has_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1:1 In the king's house. He said,\nGo!", "utf-8")
    made = little.plain_words(tmp_path / "a.txt", tmp_path / "b.txt")
    assert made.read_text("utf-8") == "in the king 's house\nhe said go\n"
