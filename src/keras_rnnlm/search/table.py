"""The table of a comparison: what each column says, and how it is written."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keras_rnnlm.search.summary import Figure, Row, Summary

NONE = "-"
OVERRUN = 1.2
FEW_STEPS = 100
"""Times its budget that a run may take, and steps at least, without a remark."""


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        title: Its heading.
        cell: Text of a row's cell.
        left: Whether it is aligned left.
    """

    title: str
    cell: Callable[[Row], str]
    left: bool = False


def columns(summary: Summary) -> list[Column]:
    """Return the columns that a comparison has something to say in."""
    found = [
        Column("model", lambda row: row.model, left=True),
        Column("parameters", lambda row: size_text(row.parameters)),
    ]
    if summary.tuned:
        found.append(Column("trials", lambda row: str(row.trials)))
    if summary.seeded:
        found.append(Column("runs", _runs))
    found.append(Column("valid ppl", lambda row: figure_text(row.valid)))
    if summary.tested:
        found.append(Column("test ppl", lambda row: figure_text(row.test)))
    if summary.token == "char":
        found.append(
            Column("bits/char", lambda row: figure_text(row.bits_per_character))
        )
    if _has_p(summary, "text_p"):
        found.append(Column("p, text", lambda row: _p(row, row.text_p)))
    if _has_p(summary, "seed_p"):
        found.append(Column("p, seeds", lambda row: _p(row, row.seed_p)))
    return [
        *found,
        Column("train tok/s", lambda row: rate_text(row.training)),
        Column("write tok/s", lambda row: rate_text(row.generation)),
        Column("weights", lambda row: bytes_text(row.weight_bytes)),
        Column("state", lambda row: bytes_text(row.state_bytes)),
        Column("seconds", lambda row: seconds_text(row.seconds)),
    ]


def plain_table(summary: Summary) -> str:
    """Return the table as text, its columns aligned."""
    chosen = columns(summary)
    rows = [[c.title for c in chosen]]
    rows += [[c.cell(row) for c in chosen] for row in summary.rows]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = [_line(cells, chosen, widths) for cells in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def remarks(summary: Summary) -> list[str]:
    """Return sentences that belong below the table."""
    said = []
    if summary.seeded:
        said.append("Means over runs with different seeds ± sample standard deviation.")
    tests = {
        "text": "paired randomisation over blocks of the test text",
        "seeds": "Welch's t-test",
    }
    made = [
        f"{name}: {test}"
        for (name, test), key in zip(tests.items(), ("text_p", "seed_p"), strict=True)
        if _has_p(summary, key)
    ]
    if made:
        said.append(
            f"p: how likely so large a difference to {summary.reference}, the best on "
            f"the validation text, is by chance ({'; '.join(made)}), adjusted by "
            "Holm's method."
        )
    able = sum(bool(row.runs) for row in summary.rows)
    if summary.tested and able > 1 and not _has_p(summary, "text_p"):
        said.append("The test text is too short for a paired test.")
    best = summary.rows[0] if summary.rows else None
    if best and summary.tested and best.runs and not best.reference:
        said.append(f"{best.model} is the best on the test text.")
    for row in summary.rows:
        if (budget := _too_little(row)) is not None:
            steps = min(run.optimizer_steps or 0 for run in row.runs)
            said.append(
                f"{row.model} took {steps:,} step{'s' * (steps != 1)} in "
                f"{seconds_text(row.seconds)} s: {budget:g} s are too little to "
                "compile, train and evaluate it in. Give more --minutes."
            )
        if row.failed:
            said.append(
                f"{row.model}: {len(row.failed)} of {len(row.failed) + len(row.runs)} "
                f"runs failed. {row.failed[0].failure}"
            )
    return said


def figure_text(figure: Figure | None) -> str:
    """Return a figure with four digits, its deviation with as many decimals."""
    if figure is None:
        return NONE
    if not math.isfinite(figure.mean):
        return "too large"
    decimals = _decimals(figure.mean)
    text = f"{figure.mean:,.{decimals}f}"
    if figure.deviation is None:
        return text
    return f"{text} ± {figure.deviation:,.{decimals}f}"


def rate_text(figure: Figure | None) -> str:
    """Return tokens a second."""
    return NONE if figure is None else f"{figure.mean:,.0f}"


def seconds_text(figure: Figure | None) -> str:
    """Return seconds: one decimal below a hundred."""
    if figure is None:
        return NONE
    return f"{figure.mean:,.{1 if figure.mean < 100 else 0}f}"


def size_text(count: int | None) -> str:
    """Return a number of weights such as `24.1M`."""
    if count is None:
        return NONE
    rounded = float(f"{count:.4g}")
    for least, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if rounded >= least:
            number = count / (1e3 if letter == "k" else least)
            return f"{number:#.4g}".rstrip(".") + letter
    return str(count)


def bytes_text(count: int | None) -> str:
    """Return a number of bytes such as `1.2 MB`, in powers of ten."""
    if count is None:
        return NONE
    rounded = float(f"{count:.3g}")
    for least, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if rounded >= least:
            return f"{count / least:#.3g}".rstrip(".") + f" {unit}"
    return f"{count} B"


def p_text(p: float) -> str:
    """Return a p-value with two digits that mean something."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _too_little(row: Row) -> float | None:
    """Return the budget of a model in seconds if it was too small to say anything."""
    minutes = row.runs[0].settings.get("minutes") if row.runs else None
    if minutes is None or row.seconds is None:
        return None
    budget = 60.0 * float(minutes)
    few = any((run.optimizer_steps or 0) < FEW_STEPS for run in row.runs)
    return budget if few or row.seconds.mean > OVERRUN * budget else None


def _has_p(summary: Summary, name: str) -> bool:
    return any(getattr(row, name) is not None for row in summary.rows)


def _p(row: Row, p: float | None) -> str:
    if row.reference:
        return "best"
    return NONE if p is None else p_text(p)


def _runs(row: Row) -> str:
    done, failed = len(row.runs), len(row.failed)
    return f"{done} of {done + failed}" if failed else str(done)


def _decimals(value: float) -> int:
    """Return the decimals that make four digits."""
    if value <= 0:
        return 3
    return min(4, max(0, 3 - math.floor(math.log10(value))))


def _line(cells: Sequence[str], chosen: Sequence[Column], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if column.left else cell.rjust(width)
        for cell, column, width in zip(cells, chosen, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()
