"""The loss over the learning rate, of a range test."""

from pathlib import Path

import numpy as np

from keras_rnnlm.drawing import FAINT, GRID, INK, TRAIN, VALID, frame, save
from keras_rnnlm.fonts import fonts_for
from keras_rnnlm.training.range_test import RangeTest


def range_plot(found: RangeTest, chosen: float, path: Path) -> None:
    """Draw the loss of each step over its rate, the mean, and two rates.

    Args:
        found: What a range test found.
        chosen: The learning rate that is recommended.
        path: The PNG file to write.
    """
    figure, axes = frame("Loss while the learning rate rises", fonts_for(()))
    means = found.smoothed
    axes.plot(found.rates, found.losses, color=TRAIN, linewidth=0.7, alpha=0.4)
    axes.plot(found.rates, means, color=TRAIN, linewidth=1.8, label="mean of 9 steps")
    axes.axvline(
        found.lowest,
        color=FAINT,
        linestyle=":",
        label=f"lowest loss: {found.lowest:.3g}",
    )
    axes.axvline(chosen, color=VALID, linewidth=1.4, label=f"chosen: {chosen:.3g}")
    axes.set_xscale("log")
    low, high = float(means.min()), float(np.max(means[: len(means) // 4 + 1]))
    margin = 0.08 * (high - low) + 0.02
    axes.set_ylim(low - margin, high + 4 * margin)
    axes.set_xlabel("learning rate", color=INK)
    axes.set_ylabel("loss (nats per token)", color=INK)
    axes.grid(color=GRID, linewidth=0.6)
    axes.legend(loc="upper left", frameon=False, labelcolor=INK)
    save(figure, axes, path)
