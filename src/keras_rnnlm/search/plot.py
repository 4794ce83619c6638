"""The picture of a comparison: perplexity against time, a line a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_rnnlm.plots import FAINT, INK, MOST_NATS
from keras_rnnlm.search.contestants import NGRAM
from keras_rnnlm.search.runs import Run
from keras_rnnlm.search.summary import Row, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Told apart by people who do not see red and green alike (Okabe and Ito 2008).
COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#7a5195",
    "#8c564b",
)
STYLES = ("-", "--", ":")
# Times the lowest perplexity: what is above would flatten the rest.
SHOWN = 4.0


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
    # Matplotlib takes most of a second to import, and only this function needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    figure.suptitle("Validation perplexity over the time of a run", color=INK)
    ends: list[tuple[float, str, str]] = []
    for number, row in enumerate(_drawable(summary.rows)):
        colour = INK if row.model == NGRAM else COLOURS[number % len(COLOURS)]
        style = STYLES[number // len(COLOURS) % len(STYLES)]
        _draw(axes, row, colour, style)
        ends.append((min(_last(run)[1] for run in row.runs), row.model, colour))
    if ends:
        _scale(axes, _drawable(summary.rows))
        _legend(axes, ends)
    else:
        axes.text(0.5, 0.5, "no run has figures", ha="center", color=FAINT)
        axes.set_xticks([])
        axes.set_yticks([])
    axes.set_xlabel("seconds since the run began", color=INK)
    axes.set_ylabel(f"validation perplexity per {_unit(summary.token)}", color=INK)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=FAINT, labelcolor=INK, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#bbbbbb")
    figure.savefig(path, format="png")


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
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    runs = [run for row in rows for run in row.runs]
    points = [point for run in runs for point in (*_points(run), _last(run))]
    values = [value for _, value in points]
    lowest = min(values)
    highest = min(max(values), SHOWN * lowest)
    margin = max(highest / lowest, 1.05) ** 0.05
    bounds = lowest / margin, highest * margin
    axes.set_xlim(0, 1.03 * max(seconds for seconds, _ in points))
    axes.set_yscale("log")
    axes.set_ylim(*bounds)
    axes.yaxis.set_major_locator(FixedLocator(round_numbers(*bounds)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def round_numbers(low: float, high: float) -> list[float]:
    """Return round numbers in a range, about evenly spaced in their logarithms."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for digits in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        found = [float(f"{d}e{n}") for n in decades for d in digits]
        found = [number for number in found if low <= number <= high]
        if len(found) >= 5:
            return found
    # Less than a decade: steps of one size do.
    step = 10.0 ** math.floor(math.log10((high - low) / 2))
    for size in (step, step / 2, step / 5):
        first = math.ceil(low / size)
        even = [round(n * size, 10) for n in range(first, int(high / size) + 1)]
        if len(even) >= 5:
            return even[:: len(even) // 10 + 1]
    return found


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
