"""Pictures of a training run, drawn without a display and without global state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.drawing import AXIS, FAINT, GRID, INK, MOST_NATS, TRAIN, VALID

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = Mapping[str, Any]
Floats = NDArray[np.float64]


def training_curve(history: Sequence[Row], path: str | Path) -> None:
    """Draw training loss, validation loss and learning rate over the tokens seen.

    Args:
        history: rows of `training.jsonl`. Those whose `event` is "train" have `tokens`
            (seen so far), `loss` (nats per token) and `learning_rate`; those whose
            `event` is "valid" have `tokens` and `valid_loss` (nats per token). Other
            rows are left out, and so are values that are not finite.
        path: the PNG file to write.

    The left scale is in nats per token, the right one in perplexity, its exponential.
    Few validations, or none, are drawn as they are; without any figure the picture
    says so.
    """
    # Matplotlib takes most of a second to import, and only this function needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tokens, loss = _points(history, "train", "loss")
    rate_tokens, rate = _points(history, "train", "learning_rate")
    valid_tokens, valid = _points(history, "valid", "valid_loss")
    furthest = max([*tokens, *rate_tokens, *valid_tokens, 1.0])
    unit, unit_name = _unit(furthest)

    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[5, 1])
    figure.suptitle("Training and validation loss", fontsize=13, color=INK)

    if loss.size:
        _draw_training(axes, tokens / unit, loss)
    if valid.size:
        _draw_validation(axes, valid_tokens / unit, valid)
    if loss.size or valid.size:
        low, high = _loss_range(loss, valid)
        axes.set_ylim(low, high)
        _add_perplexity_scale(axes, low, high)
        axes.legend(loc="upper right", frameon=False, labelcolor=INK)
    else:
        axes.text(
            0.5,
            0.5,
            "no finite loss was recorded",
            ha="center",
            va="center",
            transform=axes.transAxes,
            color=FAINT,
        )
        axes.set_yticks([])
    axes.set_ylabel("loss (nats per token)", color=INK)

    if rate.size:
        below.plot(
            rate_tokens / unit,
            rate,
            color=FAINT,
            linewidth=1.2,
            marker="." if rate.size == 1 else "",
        )
        below.set_ylim(0, max(float(rate.max()) * 1.15, 1e-12))
        below.locator_params(axis="y", nbins=3)
        below.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    else:
        below.set_yticks([])
    below.set_ylabel("learning\nrate", color=FAINT)
    below.set_xlabel(f"{unit_name} seen", color=INK)
    below.set_xlim(0, furthest / unit * 1.02)
    for each in (axes, below):
        each.grid(color=GRID, linewidth=0.6)
        each.set_axisbelow(True)
        each.tick_params(colors=FAINT, labelcolor=INK)
        each.spines[["top", "right"]].set_visible(False)
        each.spines[["left", "bottom"]].set_color(AXIS)
    figure.savefig(path, format="png")


def _points(history: Sequence[Row], event: str, key: str) -> tuple[Floats, Floats]:
    """Tokens seen and values of `key` in rows of one event, the finite ones."""
    pairs = [
        (float(row["tokens"]), float(row[key]))
        for row in history
        if row.get("event") == event and row.get(key) is not None
    ]
    finite = [pair for pair in pairs if math.isfinite(pair[1])]
    array = np.array(finite, np.float64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _unit(furthest: float) -> tuple[float, str]:
    """The unit in which the largest count of tokens is easy to read."""
    if furthest >= 1e9:
        return 1e9, "billion tokens"
    if furthest >= 1e6:
        return 1e6, "million tokens"
    if furthest >= 1e4:
        return 1e3, "thousand tokens"
    return 1.0, "tokens"


def _smooth(values: Floats) -> Floats:
    """Centred running mean over a fiftieth of the run, shorter near the ends."""
    half = len(values) // 100
    sums = np.concatenate([[0.0], np.cumsum(values)])
    middle = np.arange(len(values))
    first = np.maximum(middle - half, 0)
    last = np.minimum(middle + half + 1, len(values))
    means: Floats = (sums[last] - sums[first]) / (last - first)
    return means


def _draw_training(axes: Axes, x: Floats, loss: Floats) -> None:
    if len(loss) < 100:
        marker = "." if len(loss) == 1 else ""
        axes.plot(x, loss, color=TRAIN, linewidth=1.4, marker=marker, label="training")
        return
    axes.plot(x, loss, color=TRAIN, linewidth=0.6, alpha=0.3)
    axes.plot(x, _smooth(loss), color=TRAIN, linewidth=1.6, label="training (smoothed)")


def _draw_validation(axes: Axes, x: Floats, valid: Floats) -> None:
    size = 5 if len(valid) <= 40 else 2.5
    axes.plot(
        x,
        valid,
        color=VALID,
        linewidth=1.2,
        marker="o",
        markersize=size,
        label="validation",
    )
    best = int(valid.argmin())
    axes.plot(
        x[best],
        valid[best],
        linestyle="",
        marker="o",
        markersize=11,
        markerfacecolor="none",
        markeredgecolor=VALID,
        markeredgewidth=1.4,
        label=f"best: {valid[best]:.3f} nats, {_perplexity_text(valid[best])}",
    )


def _perplexity_text(nats: float) -> str:
    return f"perplexity {math.exp(min(nats, MOST_NATS)):.4g}"


def _loss_range(loss: Floats, valid: Floats) -> tuple[float, float]:
    """The part of the loss axis worth showing, in nats.

    A run begins near log(vocabulary size) and soon falls far below it. Its first
    twentieth would take most of the height, so what is above it there is cut off.
    """
    later = loss[len(loss) // 20 :] if len(loss) >= 40 else loss
    shown = np.concatenate([later, valid])
    low, high = float(shown.min()), float(shown.max())
    margin = max((high - low) * 0.06, 0.02)
    return low - margin, high + margin


def _add_perplexity_scale(axes: Axes, low: float, high: float) -> None:
    """Label the right side with round perplexities that lie in the range of nats."""
    if high > MOST_NATS:
        return
    right = axes.secondary_yaxis("right")
    ticks = _round_perplexities(low, high)
    right.set_yticks([math.log(tick) for tick in ticks])
    right.set_yticklabels([f"{tick:,.10g}" for tick in ticks])
    right.set_ylabel("perplexity", color=INK)
    right.tick_params(colors=FAINT, labelcolor=INK)
    right.spines[["right"]].set_visible(False)


def _round_perplexities(low: float, high: float) -> list[float]:
    """Round numbers whose logarithms lie in [low, high], four to a dozen of them."""
    from matplotlib.ticker import MaxNLocator

    least, most = math.exp(low), math.exp(high)
    decades = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    for digits in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [digit * 10.0**decade for decade in decades for digit in digits]
        ticks = [tick for tick in ticks if least <= tick <= most]
        if len(ticks) >= 4:
            break
    else:
        # Less than one decade: an even scale is close enough to a logarithmic one.
        even = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(least, most)
        ticks = [float(tick) for tick in even if least <= tick <= most]
    return ticks[:: len(ticks) // 12 + 1]
