"""The picture of a comparison: perplexity against time, a line a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_rnnlm.drawing import (
    INK,
    MOST_NATS,
    SHOWN,
    frame,
    look,
    perplexity_scale,
    save,
    say,
)
from keras_rnnlm.fonts import fonts_for
from keras_rnnlm.search.contestants import NGRAM
from keras_rnnlm.search.runs import Run
from keras_rnnlm.search.summary import Row, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def comparison_plot(summary: Summary, path: str | Path) -> None:
    """Draw perplexity on the validation text over the seconds of each final run.

    Args:
        summary: Rows with their runs and these runs' histories.
        path: The PNG file to write.

    A model has a line for each of its runs, through the validations as it went on, to a
    dot at its end: the final figure of the weights that were kept. The n-gram model is
    a point, with a level line to compare with. Perplexities are on a logarithmic scale,
    up to four times the lowest. Without any figure the picture says so.
    """
    figure, axes = frame(
        "Validation perplexity over the time of a run", fonts_for(()), width=8
    )
    ends: list[tuple[float, str, str]] = []
    for number, row in enumerate(_drawable(summary.rows)):
        colour, style = look(number)
        colour = INK if row.model == NGRAM else colour
        _draw(axes, row, colour, style)
        ends.append((min(_last(run)[1] for run in row.runs), row.model, colour))
    if ends:
        _scale(axes, _drawable(summary.rows))
        _legend(axes, ends)
    else:
        say(axes, "no run has figures")
    axes.set_xlabel("seconds since the run began", color=INK)
    axes.set_ylabel(f"validation perplexity per {_unit(summary.token)}", color=INK)
    save(figure, axes, Path(path))


def _drawable(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that have runs, all of them with figures that fit a float."""
    return [
        row
        for row in rows
        if row.runs and all(run.valid_nats < MOST_NATS for run in row.runs)
    ]


def _last(run: Run) -> tuple[float, float]:
    """Return seconds and perplexity at the end of a run."""
    return run.seconds or 0.0, math.exp(run.valid_nats)


def _points(run: Run) -> list[tuple[float, float]]:
    """Return (seconds, perplexity) of a run as it went on, where they can be drawn."""
    return [(x, math.exp(nats)) for x, nats in run.history if nats < MOST_NATS]


def _draw(axes: Axes, row: Row, colour: str, style: str) -> None:
    for run in row.runs:
        at, value = _last(run)
        if row.model == NGRAM:
            axes.axhline(value, color=colour, linewidth=0.8, linestyle=(0, (1, 2)))
            axes.plot(at, value, marker="D", markersize=7, color=colour, clip_on=False)
            continue
        seconds, values = zip(*_points(run), (at, value), strict=True)
        axes.plot(seconds, values, color=colour, linestyle=style, linewidth=1.4)
        axes.plot(seconds, values, color=colour, linestyle="", marker=".")
        axes.plot(at, value, marker="o", markersize=6, color=colour)


def _scale(axes: Axes, rows: Sequence[Row]) -> None:
    runs = [run for row in rows for run in row.runs]
    points = [point for run in runs for point in (*_points(run), _last(run))]
    values = [value for _, value in points]
    highest = SHOWN * min(values)
    axes.set_xlim(0, 1.03 * max(seconds for seconds, _ in points))
    perplexity_scale(axes, [min(value, highest) for value in values])


def _legend(axes: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Name the models, the highest perplexity first; ↑ is above the picture."""
    from matplotlib.lines import Line2D

    highest = SHOWN * min(value for value, *_ in ends)
    handles = [
        Line2D(
            [],
            [],
            color=colour,
            marker="D" if name == NGRAM else "o",
            linestyle="" if name == NGRAM else "-",
            label=f"{name}  {value:,.4g}{' ↑' if value > highest else ''}",
        )
        for value, name, colour in sorted(ends, reverse=True)
    ]
    axes.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
        labelcolor=INK,
    )


def _unit(token: str) -> str:
    return {"word": "word", "char": "character"}.get(token, "subword")
