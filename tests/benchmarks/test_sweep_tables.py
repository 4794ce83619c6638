"""The tables of `docs/choosing*.md` are those of the runs of the sweeps."""

from typing import Any

import pytest

from tests.benchmarks.scripts import run, script

tables = script("sweeps/tables")


def test_the_tables_of_the_pages_are_those_of_the_runs() -> None:
    done = run("sweeps/tables", "--check")
    assert done.returncode == 0, "run python benchmarks/sweeps/tables.py"


def test_each_picture_that_is_shown_is_there() -> None:
    for path in tables.DOCS:
        words = path.read_text("utf-8").split("(pictures/")[1:]
        assert len(words) > 3
        for word in words:
            assert (tables.PICTURES / word.split(")")[0]).is_file(), word


def row(perplexity: float | None, **changes: Any) -> dict[str, Any]:
    nats = None if perplexity is None else 1.0
    base = {**tables.BASES["ptb"], "text": "ptb", "minutes": 1, "vocabulary": 10_000}
    return {**base, "perplexity": perplexity, "nats": nats, "epochs": 1.2, **changes}


def test_a_view_takes_what_differs_in_its_settings_alone() -> None:
    known = [
        row(3.0, units=128),
        row(4.0, units=256, learning_rate=60.0),  # alone in its row
        row(5.0, units=256),
        row(6.0, units=256, dropout=0.3),
        row(7.0, units=256, minutes=3),
    ]
    found = tables.selected(known, tables.View("units", ("learning_rate",)))
    assert [run["perplexity"] for run in found] == [3.0, 5.0]


def test_a_table_says_what_is_best_and_what_diverged() -> None:
    known = [
        row(150.25, cell="gru", nats=5.0),
        row(148.0, cell="lstm", nats=4.9),
        row(1e9, cell="simple_rnn", nats=20.0),
        row(None, cell="mgu"),
    ]
    view = tables.View("cell", ("units",))
    assert tables.table(known, view, "en").splitlines() == [
        "| text | units | simple_rnn | mgu | gru | lstm |",
        "| --- | --- | --- | --- | --- | --- |",
        "| ptb | 256 | diverged | diverged | 150.2 | **148.0** |",
    ]
    assert "发散" in tables.table(known, view, "zh")


@pytest.mark.parametrize("name", tables.VIEWS)
def test_every_table_stands_in_both_pages(name: str) -> None:
    for path in tables.DOCS:
        assert path.read_text("utf-8").count(f"<!-- sweep: {name} -->") == 1
