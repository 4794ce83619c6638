"""Perplexity against time: of runs, of a comparison, of a search."""

from collections.abc import Sequence
from pathlib import Path

from keras_rnnlm.drawing import (
    INK,
    SHOWN,
    frame,
    legend,
    look,
    perplexity_scale,
    save,
    say,
)
from keras_rnnlm.fonts import Fonts
from keras_rnnlm.pictures.runs import Series


def times_plot(series: Sequence[Series], path: Path, fonts: Fonts) -> None:
    """Draw validation perplexity over seconds, up to four times the lowest.

    Args:
        series: What to draw; those of a search are over the time of the search.
        path: The PNG file to write.
        fonts: For the names.
    """
    figure, axes = frame("Validation perplexity over time", fonts)
    able = [each for each in series if each.points]
    values = [y for each in able for _, y in each.points]
    if not values:
        say(axes, "no run has figures")
        save(figure, axes, path)
        return
    highest = SHOWN * min(values)
    for number, each in enumerate(able):
        colour, style = look(number)
        last = each.points[-1][1]
        if each.kind == "marks":  # in no order of their own
            last = min(y for _, y in each.points)
        above = " ↑" if last > highest else ""
        label = fonts.label(f"{each.name}  {last:#.4g}{above}")
        xs, ys = zip(*each.points, strict=True)
        if each.kind == "level":
            axes.axhline(last, color=colour, linewidth=1.0, linestyle=":", label=label)
        elif each.kind == "marks":
            axes.plot(
                xs,
                ys,
                color=colour,
                linestyle="",
                marker="o",
                markersize=4,
                alpha=0.7,
                label=label,
            )
        elif each.kind == "steps":
            axes.step(xs, ys, color=colour, where="post", linewidth=1.4, label=label)
        else:
            axes.plot(
                xs,
                ys,
                color=colour,
                linestyle=style,
                linewidth=1.4,
                marker="o",
                markersize=4,
                label=label,
            )
    perplexity_scale(axes, [value for value in values if value <= highest])
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds since the beginning", color=INK)
    axes.set_ylabel("validation perplexity", color=INK)
    legend(axes)
    save(figure, axes, path)
