r"""A comparison for others: CSV with a line a run, LaTeX with a line a model.

Both name the hash of every run: the SHA-256 of its settings, data, code and
environment, as `comparison.json` has them. The CSV has the hash of the weights besides.
"""

import csv
import io
from collections.abc import Mapping
from typing import Any

from keras_rnnlm.search.compare import Comparison
from keras_rnnlm.search.summary import Summary
from keras_rnnlm.search.table import columns

FIGURES = (
    "tokens",
    "loss",
    "perplexity",
    "word_perplexity",
    "bits_per_character",
    "bits_per_byte",
    "oov",
)
OWN = (
    "name",
    "model",
    "kind",
    "trial",
    "seed",
    "hash",
    "weights_hash",
    "parameters",
    "optimizer_steps",
    "seconds",
    "training_tokens_per_second",
    "generation_tokens_per_second",
    "weight_bytes",
    "state_bytes",
    "failure",
)
SHORT = 16
"""Digits of a hash in LaTeX's comments, enough to tell runs apart."""

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": r"$<$",
    ">": r"$>$",
}
_HEADINGS = {
    "train tok/s": "tokens/s, training",
    "write tok/s": "tokens/s, writing",
    "valid ppl": "valid.",
    "test ppl": "test",
    "p, text": "$p$, text",
    "p, seeds": "$p$, seeds",
}


def csv_text(comparison: Comparison) -> str:
    """Return CSV (RFC 4180, but lines end in one character): a line a run.

    Columns: those of `Run`; the figures of each text, `valid_loss`, `test_loss` and so
    on; then every setting, empty where the model does not have it.
    """
    runs = comparison.records.runs
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    settings = [key for key in keys if key not in OWN]
    figures = [f"{part}_{name}" for part in ("valid", "test") for name in FIGURES]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*OWN, *figures, *settings])
    for run in runs:
        row = [getattr(run, name) for name in OWN]
        for given in (run.valid, run.test):
            row += [(given or {}).get(name) for name in FIGURES]
        row += [run.settings.get(name) for name in settings]
        writer.writerow(["" if value is None else value for value in row])
    return out.getvalue()


def latex_text(comparison: Comparison, summary: Summary) -> str:
    """Return a table for LaTeX that needs the package `booktabs` alone.

    The lowest perplexity of each column is bold. Hashes of all runs stand above it.
    """
    chosen = columns(summary)
    lines = [
        "% Made by `rnnlm compare`; needs \\usepackage{booktabs}.",
        *_comments(comparison),
        "\\begin{tabular}{" + "".join("l" if c.left else "r" for c in chosen) + "}",
        "\\toprule",
        _row([_heading(c.title) for c in chosen]),
        "\\midrule",
    ]
    for row in summary.rows:
        cells = []
        for column in chosen:
            text = column.cell(row)
            best = column.title in ("valid ppl", "test ppl", "bits/char") and _is_best(
                summary, column.title, row
            )
            cells.append(f"\\textbf{{{escape(text)}}}" if best else escape(text))
        lines.append(_row(cells))
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def escape(text: str) -> str:
    """Return text in which LaTeX's special characters stand for themselves."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def _comments(comparison: Comparison) -> list[str]:
    facts = comparison.records.facts
    data: Mapping[str, Any] = facts["data"]
    said = [f"code {facts['code'][:SHORT]}"]
    said += [
        f"{part} text {data[part]['sha256'][:SHORT]}"
        for part in ("train", "valid", "test")
        if part in data
    ]
    said += [
        f"{run.name}: run {run.hash[:SHORT]}"
        + (f", weights {run.weights_hash[:SHORT]}" if run.weights_hash else ", failed")
        for run in comparison.records.runs
    ]
    return [f"% {line}" for line in said]


def _heading(title: str) -> str:
    return _HEADINGS.get(title, escape(title))


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + " \\\\"


def _is_best(summary: Summary, title: str, row: Any) -> bool:
    name = {"valid ppl": "valid", "test ppl": "test"}.get(title, "bits_per_character")
    known = [figure.mean for each in summary.rows if (figure := getattr(each, name))]
    own = getattr(row, name)
    return own is not None and own.mean == min(known)
