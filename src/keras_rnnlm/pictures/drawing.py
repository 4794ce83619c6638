"""What the pictures here have in common: a frame, colours, a scale of perplexities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_rnnlm.fonts import Fonts, write_caption
from keras_rnnlm.plots import FAINT, INK
from keras_rnnlm.search.plot import COLOURS, STYLES, round_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GRID = "#e6e6e6"
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
    axes.set_axisbelow(True)
    axes.tick_params(colors=FAINT, labelcolor=INK, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#bbbbbb")
    figure.savefig(path, format="png")


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
    """Name the lines, beside the picture where there are several."""
    if len(axes.get_legend_handles_labels()[0]) > 0:
        axes.legend(
            loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, labelcolor=INK
        )
