"""Training curves of one run or of many."""

import math
from collections.abc import Sequence
from pathlib import Path

from keras_rnnlm.drawing import (
    INK,
    MOST_NATS,
    SHOWN,
    frame,
    legend,
    look,
    perplexity_scale,
    save,
    say,
)
from keras_rnnlm.fonts import Fonts
from keras_rnnlm.pictures.runs import Run
from keras_rnnlm.plots import training_curve


def curves_plot(runs: Sequence[Run], path: Path, fonts: Fonts) -> None:
    """Draw training curves over the tokens seen.

    One run is drawn as its own `curve.png` is: training loss, validations, learning
    rate. Of several the validations are joined by a line, over a faint one of the
    training loss, on one scale of perplexities up to four times the lowest.
    """
    if len(runs) == 1:
        training_curve(runs[0].history, path)
        return
    figure, axes = frame("Training and validation perplexity", fonts)
    drawn: list[float] = []
    furthest = 1.0
    for number, run in enumerate(runs):
        colour, style = look(number)
        train = _points(run, "train", "loss")
        valid = _points(run, "valid", "valid_loss")
        if train:
            axes.plot(
                *zip(*train, strict=True), color=colour, alpha=0.25, linewidth=0.8
            )
        shown = valid or train
        if not shown:
            continue
        best = min(y for _, y in shown)
        what = "" if valid else " (training)"
        axes.plot(
            *zip(*shown, strict=True),
            color=colour,
            linestyle=style,
            linewidth=1.5,
            marker="o" if len(shown) <= 40 else "",
            markersize=4,
            label=fonts.label(f"{run.name}  {best:#.4g}{what}"),
        )
        drawn += [y for _, y in shown]
        furthest = max(furthest, *(x for x, _ in shown))
    if drawn:
        lowest = min(drawn)
        perplexity_scale(axes, [y for y in drawn if y <= SHOWN * lowest])
        axes.set_xlim(0, 1.02 * furthest)
    else:
        say(axes, "no run has figures")
    axes.set_xlabel("tokens seen", color=INK)
    axes.set_ylabel("perplexity: line and dots validation, faint training", color=INK)
    axes.xaxis.set_major_formatter(_count)
    legend(axes)
    save(figure, axes, path)


def _points(run: Run, event: str, key: str) -> list[tuple[float, float]]:
    return [
        (float(row["tokens"]), math.exp(row[key]))
        for row in run.history
        if row.get("event") == event
        and isinstance(row.get(key), int | float)
        and row[key] < MOST_NATS
    ]


def _count(value: float, _: float) -> str:
    for least, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= least:
            return f"{value / least:g}{letter}"
    return f"{value:g}"
