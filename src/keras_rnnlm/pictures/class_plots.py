"""Pictures of perplexity by frequency and by position, a line a model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from keras_rnnlm.drawing import (
    FAINT,
    GRID,
    INK,
    frame,
    look,
    perplexity_scale,
    save,
    say,
)
from keras_rnnlm.fonts import Fonts
from keras_rnnlm.pictures.classes import Class


def classes_plot(
    models: Mapping[str, Sequence[Class]],
    path: Path,
    fonts: Fonts,
    *,
    title: str,
    label: str,
    unit: str,
) -> None:
    """Draw the perplexity of classes, and faintly their share of all predictions.

    Args:
        models: Classes of each model by its name. Models with other vocabularies may
            have other classes; they are joined in the order of their first model.
        path: The PNG file to write.
        fonts: For title, names, examples and label.
        title: Of the picture.
        label: Of the classes.
        unit: What a prediction is of, such as `word`.
    """
    order = _order(models)
    values = [
        each.perplexity
        for classes in models.values()
        for each in classes
        if math.isfinite(each.perplexity)
    ]
    figure, axes = frame(title, fonts, max(8.5, 0.62 * len(order) + 2.5))
    if not values:
        say(axes, "there is nothing to show")
        save(figure, axes, path)
        return
    first = next(iter(models.values()))
    total = sum(each.predictions for each in first)
    behind = axes.twinx()
    behind.bar(
        [order.index(each.name) for each in first],
        [100 * each.predictions / total for each in first],
        color=GRID,
        width=0.8,
    )
    behind.set_ylabel(f"bars: share of the {unit}s (%)", color=FAINT)
    behind.tick_params(colors=FAINT)
    behind.spines[:].set_visible(False)
    axes.set_zorder(behind.get_zorder() + 1)
    axes.patch.set_visible(False)
    for number, (name, classes) in enumerate(models.items()):
        colour, style = look(number)
        shown = [each for each in classes if math.isfinite(each.perplexity)]
        axes.plot(
            [order.index(each.name) for each in shown],
            [each.perplexity for each in shown],
            color=colour,
            linestyle=style,
            linewidth=1.5,
            marker="o",
            markersize=5,
            label=fonts.label(name),
        )
    perplexity_scale(axes, values)
    axes.grid(visible=False)
    examples = {each.name: each.examples for each in first}
    ticks = [
        "\n".join([name, *(fonts.label(word) for word in examples.get(name, ()))])
        for name in order
    ]
    axes.set_xticks(range(len(order)), ticks, fontsize=7.5)
    axes.set_xlabel(fonts.label(label), color=INK)
    axes.set_ylabel(f"perplexity per {unit}", color=INK)
    if len(models) > 1:
        axes.legend(loc="best", frameon=False, labelcolor=INK)
    save(figure, axes, path)


def texts_of(models: Mapping[str, Sequence[Class]]) -> list[str]:
    """Return all that a picture writes, to choose fonts by."""
    return [*models, *(w for c in models.values() for e in c for w in e.examples)]


def _order(models: Mapping[str, Sequence[Class]]) -> list[str]:
    found: dict[str, float] = {}
    for classes in models.values():
        for each in classes:
            low = each.name.partition("-")[0].rstrip("+").replace(",", "")
            found.setdefault(each.name, float(low))
    return sorted(found, key=lambda name: found[name])
