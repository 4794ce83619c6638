"""What pictures have in common: a frame, colours, a scale of perplexities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_rnnlm.fonts import Fonts, write_caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAIN = "#4c78a8"
VALID = "#d1495b"
INK = "#333333"
FAINT = "#8a8a8a"
GRID = "#e6e6e6"
AXIS = "#bbbbbb"
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
# Above this, the exponential does not fit a float.
MOST_NATS = 700.0
# Times the lowest perplexity: what is above would flatten the rest.
SHOWN = 4.0
_CLOSEST = 1.05


def frame(title: str, fonts: Fonts, width: float = 8.5) -> tuple[Figure, Axes]:
    """Return a figure with a title and one pair of axes."""
    # Matplotlib takes most of a second to import.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    figure.suptitle(fonts.label(title), color=INK)
    write_caption(figure, fonts, FAINT)
    return figure, axes


def save(figure: Figure, axes: Axes, path: Path) -> None:
    """Write a figure as PNG, its axes in the common style."""
    style(axes)
    figure.savefig(path, format="png")


def style(axes: Axes) -> None:
    """Give axes the common style."""
    axes.set_axisbelow(True)
    axes.tick_params(colors=FAINT, labelcolor=INK, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(AXIS)


def say(axes: Axes, sentence: str) -> None:
    """Say in the place of a picture why there is none."""
    axes.text(0.5, 0.5, sentence, ha="center", color=FAINT, transform=axes.transAxes)
    axes.set_xticks([])
    axes.set_yticks([])


def look(number: int) -> tuple[str, str]:
    """Return colour and style of a line by its number."""
    return (
        COLOURS[number % len(COLOURS)],
        STYLES[number // len(COLOURS) % len(STYLES)],
    )


def perplexity_scale(axes: Axes, values: Sequence[float]) -> None:
    """Make the y axis one of perplexities, logarithmic, with round numbers."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    lowest, highest = min(values), max(values)
    margin = max(highest / lowest, _CLOSEST) ** 0.06
    bounds = lowest / margin, highest * margin
    axes.set_yscale("log")
    axes.set_ylim(*bounds)
    axes.yaxis.set_major_locator(FixedLocator(round_numbers(*bounds)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.grid(color=GRID, linewidth=0.6)


def legend(axes: Axes) -> None:
    """Name the lines beside the picture, where there are any."""
    if len(axes.get_legend_handles_labels()[0]) > 0:
        axes.legend(
            loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, labelcolor=INK
        )


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
