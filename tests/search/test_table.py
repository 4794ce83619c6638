import csv
import io
import re
from pathlib import Path

import pytest

from keras_rnnlm.search.compare import Comparison
from keras_rnnlm.search.exports import csv_text, escape, latex_text
from keras_rnnlm.search.summary import Figure, summarise
from keras_rnnlm.search.table import (
    bytes_text,
    figure_text,
    plain_table,
    remarks,
    size_text,
)
from tests.search.made import a_comparison, records_in, run_of


def test_a_table_of_columns(tmp_path: Path) -> None:
    summary = summarise(a_comparison(tmp_path))
    head, rule, *rows = plain_table(summary).splitlines()
    for title in ("model", "parameters", "runs", "test ppl", "bits/char", "p, seeds"):
        assert title in head
    assert "trials" not in head
    # All cells stand under their rules.
    ends = [match.end() for match in re.finditer("-+", rule)]
    for row in (head, *rows):
        assert all(row[end : end + 2].strip() == "" for end in ends)
    assert rows[0].startswith("lstm") and "4.504 ± 0.032" in rows[0]
    assert "best" in rows[0]
    assert "1 of 2" in rows[-1]
    said = " ".join(remarks(summary))
    assert "to lstm, the best on the validation text" in said
    assert "min_gru: 1 of 2 runs failed. Not a number" in said


def test_what_there_is_nothing_to_say_of(tmp_path: Path) -> None:
    records = records_in(tmp_path, token="word")
    records.add(run_of("lstm", 800.0, test=False))
    summary = summarise(Comparison(records, ("lstm",)))
    head, _, row = plain_table(summary).splitlines()
    for title in ("runs", "test ppl", "bits/char", "p, "):
        assert title not in head
    assert "too large" in row
    assert remarks(summary) == []


def test_a_budget_that_was_too_small(tmp_path: Path) -> None:
    records = records_in(tmp_path)
    for model, minutes, steps in (("lstm", 1.0, 500), ("gru", 0.5, 500), ("mgu", 1, 1)):
        settings = {"minutes": minutes, "seed": 0}
        identity = {"settings": settings, "model": model, "code": "c0de"}
        records.add(run_of(model, 1.5, identity=identity, optimizer_steps=steps))
    summary = summarise(Comparison(records, ("lstm", "gru", "mgu")))
    said = [line for line in remarks(summary) if "--minutes" in line]
    assert said[0].startswith("gru took 500 steps in 60.0 s: 30 s are too little")
    assert said[1].startswith("mgu took 1 step in 60.0 s: 60 s are too little")
    assert len(said) == 2


def test_figures_have_four_digits() -> None:
    assert figure_text(Figure(4.51234)) == "4.512"
    assert figure_text(Figure(112.345, 1.234)) == "112.3 ± 1.2"
    assert figure_text(Figure(12345.6)) == "12,346"
    assert figure_text(Figure(0.01234)) == "0.0123"
    assert figure_text(None) == "-"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (999, "999"),
        (24_123_456, "24.12M"),
        (530_432, "530.4k"),
        (1.5e9, "1.500G"),
        (999_960, "1.000M"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size_text(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (2048, "2.05 kB"),
        (123e6, "123 MB"),
        (5e9, "5.00 GB"),
        (999_700, "1.00 MB"),
        (1.23e12, "1.23 TB"),
    ],
)
def test_bytes(count: int, text: str) -> None:
    assert bytes_text(count) == text


def test_csv_has_a_line_a_run(tmp_path: Path) -> None:
    comparison = a_comparison(tmp_path)
    head, *rows = csv.reader(io.StringIO(csv_text(comparison)))
    assert len(head) == len(set(head))
    runs = comparison.records.runs
    assert len(rows) == len(runs)
    for run, row in zip(runs, rows, strict=True):
        found = dict(zip(head, row, strict=True))
        assert (found["name"], found["hash"]) == (run.name, run.hash)
        assert found["weights_hash"] == (run.weights_hash or "")
        assert found["seed"] == str(run.seed) and found["units"] == "8"
        assert found["failure"] == (run.failure or "")
        if run.test is not None:
            assert float(found["test_perplexity"]) == run.test["perplexity"]


def test_latex_is_well_formed(tmp_path: Path) -> None:
    comparison = a_comparison(tmp_path)
    summary = summarise(comparison)
    lines = latex_text(comparison, summary).splitlines()
    comments = [line for line in lines if line.startswith("%")]
    for run in comparison.records.runs:
        (line,) = (line for line in comments if f" {run.name}:" in line)
        assert run.hash[:16] in line
    body = lines[len(comments) :]
    (preamble,) = re.findall(r"\\begin\{tabular\}\{([lr]+)\}", body[0])
    assert body[-1] == "\\end{tabular}"
    assert [line for line in body if line.startswith("\\") and "&" not in line] == [
        body[0],
        "\\toprule",
        "\\midrule",
        "\\bottomrule",
        "\\end{tabular}",
    ]
    rows = [line for line in body if line.endswith("\\\\")]
    assert len(rows) == 1 + len(summary.rows)
    for row in rows:
        cells = re.split(r"(?<!\\)&", row.removesuffix("\\\\"))
        assert len(cells) == len(preamble)
        # Outside of commands and mathematics nothing special is left.
        bare = re.sub(r"\\[a-z]+\{|\\[_%&#$]|\$[^$]*\$|\}", "", "".join(cells))
        assert not set(bare) & set("\\_%#$^~{}<>±")
    assert any(row.startswith("min\\_gru &") for row in rows)
    assert rows[1].startswith("lstm") and "\\textbf{4.504 $\\pm$ 0.032}" in rows[1]
    # The lowest of each column, and no other.
    assert sum(row.count("\\textbf") for row in rows) == 3


def test_every_special_character_is_escaped() -> None:
    assert escape("a_b & 5% #1 {x}") == r"a\_b \& 5\% \#1 \{x\}"
    assert escape("\\~^") == r"\textbackslash{}\textasciitilde{}\textasciicircum{}"
