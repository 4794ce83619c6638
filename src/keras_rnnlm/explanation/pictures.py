"""The pictures of an explanation, as PNG files for where a page cannot go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_rnnlm.drawing import FAINT, INK, TRAIN, VALID
from keras_rnnlm.explanation.gates import LayerGates
from keras_rnnlm.explanation.properties import NAMES
from keras_rnnlm.explanation.result import Explanation
from keras_rnnlm.fonts import Fonts, fonts_for, write_caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Painter = Callable[[Figure, Explanation, Fonts], None]

COLUMNS = 40
"""Characters in a line of the picture of the text."""
MOST_LINES = 40
TOKENS = 80
"""Tokens in pictures that have a column for each."""
MOST_BITS = 12.0


def draw(explanation: Explanation, stem: Path) -> list[Path]:
    """Draw all pictures that an explanation has figures for.

    Args:
        explanation: What to draw.
        stem: Beginning of the files' names: `report` gives `report-surprisal.png`.

    Returns:
        The files, in the order of the page.
    """
    fonts = fonts_for([explanation.text["before"], *explanation.surprisal.pieces])
    pictures: list[tuple[str, Painter, bool]] = [
        ("surprisal", _surprisal, True),
        ("attribution", _attribution, True),
        ("attention", _attention, bool(explanation.attention)),
        ("cache", _cache, explanation.cache is not None),
        ("gates", _gates, bool(explanation.gates)),
        ("units", _units, bool(explanation.probes.found)),
        ("memory", _memory, explanation.memory is not None),
        ("calibration", _calibration, True),
    ]
    written = []
    for name, painter, wanted in pictures:
        if wanted:
            path = stem.with_name(f"{stem.name}-{name}.png")
            _write(path, painter, explanation, fonts)
            written.append(path)
    return written


def _write(
    path: Path, painter: Painter, explanation: Explanation, fonts: Fonts
) -> None:
    # Matplotlib takes most of a second to import, and only pictures need it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with fonts.used():
        figure = Figure(figsize=(8, 5), dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        painter(figure, explanation, fonts)
        write_caption(figure, fonts, FAINT)
        figure.savefig(path, format="png")


def _visible(piece: str, fonts: Fonts, name: str = "") -> str:
    shown = piece.replace("\n", "⏎").replace("\t", "⇥").replace(" ", "␣") or name
    shown = "".join(c if c.isprintable() else "\ufffd" for c in shown)
    return fonts.label(shown)


def _surprisal(figure: Figure, explanation: Explanation, fonts: Fonts) -> None:
    """The text, each token on the colour of its surprisal."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    found = explanation.surprisal
    rows: list[list[tuple[float, str, float]]] = [[]]
    at = 0.0
    for piece, token, bits in zip(found.pieces, found.tokens, found.bits, strict=True):
        label = (
            "⏎" if piece == "\n" else _visible(piece, fonts, token).lstrip("␣") or "␣"
        )
        width = sum(1.0 if ord(c) < 0x2E80 else 1.8 for c in label) + 0.4
        if at + width > 2 * COLUMNS and rows[-1]:
            rows.append([])
            at = 0.0
        rows[-1].append((width, label, float(bits)))
        at += width
        if piece == "\n":
            rows.append([])
            at = 0.0
    rows = [row for row in rows if row][:MOST_LINES]
    figure.set_size_inches(9, 1.1 + 0.27 * len(rows))
    axes = figure.subplots()
    axes.set_xlim(0, 2 * COLUMNS + 1)
    axes.set_ylim(len(rows), 0)
    axes.set_axis_off()
    for y, row in enumerate(rows):
        at = 0.0
        for width, label, bits in row:
            colour = to_rgba(VALID, 0.8 * min(bits / MOST_BITS, 1.0))
            axes.add_patch(Rectangle((at, y + 0.06), width, 0.88, color=colour, lw=0))
            axes.text(
                at + width / 2,
                y + 0.5,
                label,
                ha="center",
                va="center",
                fontsize=9,
                color=INK,
            )
            at += width
    axes.set_title(
        f"Surprisal of each {explanation.model['token']}: white 0, red {MOST_BITS:g} "
        "bits or more",
        fontsize=10,
        loc="left",
        color=INK,
    )


def _attribution(figure: Figure, explanation: Explanation, fonts: Fonts) -> None:
    """Integrated gradients: a column a prediction, a row for each distance."""
    values = explanation.attribution.gradients[:TOKENS]
    largest = float(np.quantile(np.abs(values), 0.995)) or 1.0
    figure.set_size_inches(10, 4.5)
    axes = figure.subplots()
    token = explanation.model["token"]
    title = (
        f"What each prediction rests on: integrated gradients (nats), first "
        f"{len(values)} {token}s"
    )
    _by_distance(axes, values, explanation, fonts, title, (-largest, largest))


def _attention(figure: Figure, explanation: Explanation, fonts: Fonts) -> None:
    """Attention of each layer, the mean of its heads, in the same places."""
    layers = explanation.attention
    figure.set_size_inches(10, 0.6 + 2.6 * len(layers))
    rows = figure.subplots(len(layers), 1, squeeze=False)[:, 0]
    for number, (layer, axes) in enumerate(zip(layers, rows, strict=True), 1):
        values = layer.weights.mean(axis=0)[:TOKENS]
        which = f" {number}" if len(layers) > 1 else ""
        mean = f", mean of {len(layer.weights)} heads" if len(layer.weights) > 1 else ""
        title = f"Where attention{which} looks: weights{mean}"
        largest = float(values.max()) or 1.0
        _by_distance(axes, values, explanation, fonts, title, (0.0, largest))


def _cache(figure: Figure, explanation: Explanation, fonts: Fonts) -> None:
    """Weights of a continuous cache, in the same places."""
    found = explanation.cache
    if found is None:
        return
    values = found.weights[:TOKENS]
    figure.set_size_inches(10, 4.5)
    title = (
        f"Where the cache looks: weights (window {found.settings.window}, theta "
        f"{found.settings.theta:g})"
    )
    largest = float(values.max()) or 1.0
    axes = figure.subplots()
    _by_distance(axes, values, explanation, fonts, title, (0.0, largest))


def _by_distance(
    axes: Axes,
    values: Any,
    explanation: Explanation,
    fonts: Fonts,
    title: str,
    limits: tuple[float, float],
) -> None:
    """Draw (predictions, distances): a column a prediction, the nearest token on top.

    Args:
        axes: Where.
        values: What to draw.
        explanation: Whose tokens are predicted.
        fonts: For them.
        title: Of the axes.
        limits: Lowest and highest value of the colours; from 0 without red.
    """
    found = explanation.surprisal
    _heat(axes, values.T, limits, title)
    _token_axis(axes, found.pieces, found.tokens, fonts)
    backs = range(0, values.shape[1], 4)
    axes.set_yticks(backs, [str(back + 1) for back in backs])
    axes.set_ylabel(f"{explanation.model['token']}s back", color=INK)


def _gates(figure: Figure, explanation: Explanation, fonts: Fonts) -> None:
    """The gate that holds, or the state, of each layer."""
    layers = explanation.gates
    figure.set_size_inches(10, 0.6 + 2.6 * len(layers))
    for number, axes in enumerate(figure.subplots(len(layers), 1, squeeze=False)[:, 0]):
        title, values, low = _chosen(layers[number])
        _heat(axes, values[:TOKENS].T, (low, 1.0), f"Layer {number + 1}: {title}")
        _token_axis(axes, *_read(explanation), fonts)
        axes.set_ylabel("units", color=INK)
        axes.set_yticks([])


def _chosen(layer: LayerGates) -> tuple[str, Any, float]:
    """Name, values with the units that hold longest first, and the lowest value."""
    lives = layer.half_lives
    if layer.held_by is not None and lives is not None:
        order = np.argsort(-lives, kind="stable")
        title = f"{layer.held_by} gate, units that hold longest on top"
        return title, layer.gates[layer.held_by][:, order], 0.0
    name, values = next(iter(layer.states.items()))
    largest = float(np.abs(values).max()) or 1.0
    return f"state {name}, divided by its largest", values / largest, -1.0


def _units(figure: Figure, explanation: Explanation, fonts: Fonts) -> None:
    """The unit that tells each property best: a row a property."""
    found = explanation.probes.found
    outputs = np.array([probe.outputs[:TOKENS] for probe in found])
    largest = np.abs(outputs).max(axis=1, keepdims=True)
    rows = outputs / np.where(largest > 0, largest, 1.0)
    figure.set_size_inches(10, 1.4 + 0.5 * len(rows))
    axes = figure.subplots()
    title = "Output of the unit that tells best alone, divided by its largest"
    _heat(axes, rows, (-1.0, 1.0), title)
    _token_axis(axes, *_read(explanation), fonts)
    labels = [
        f"{NAMES[probe.name]}{' (low)' if probe.sign < 0 else ''}\n"
        f"layer {probe.layer + 1}, unit {probe.unit}, area {probe.unit_area:.3f}"
        for probe in found
    ]
    axes.set_yticks(range(len(labels)), labels, fontsize=8)


def _heat(axes: Axes, rows: Any, limits: tuple[float, float], title: str) -> None:
    """Draw a map of numbers with its scale, blue above 0 and red below."""
    low, high = limits
    image = axes.imshow(
        rows,
        aspect="auto",
        cmap="Blues" if low == 0 else "RdBu",
        vmin=low,
        vmax=high,
        interpolation="nearest",
    )
    axes.set_title(title, fontsize=10, loc="left", color=INK)
    bar = axes.figure.colorbar(image, ax=axes, pad=0.01)
    bar.ax.tick_params(labelsize=8)


def _read(explanation: Explanation) -> tuple[list[str], list[str]]:
    """Return what was read before each prediction: pieces, and tokens by name."""
    before, found = explanation.text["before"], explanation.surprisal
    return [before, *found.pieces[:-1]], [before, *found.tokens[:-1]]


def _token_axis(axes: Axes, pieces: list[str], names: list[str], fonts: Fonts) -> None:
    labels = [
        _visible(piece, fonts, name).lstrip("␣") or "␣"
        for piece, name in zip(pieces[:TOKENS], names[:TOKENS], strict=True)
    ]
    long = max(map(len, labels)) > 2
    axes.set_xticks(range(len(labels)), labels, rotation=90 if long else 0, fontsize=8)
    axes.tick_params(length=0, colors=FAINT, labelcolor=INK)


def _memory(figure: Figure, explanation: Explanation, _: Fonts) -> None:
    found = explanation.memory
    if found is None:
        return
    figure.set_size_inches(6, 4)
    axes = figure.subplots()
    axes.errorbar(
        found.contexts, found.nats, found.errors, color=TRAIN, marker="o", linewidth=1.4
    )
    axes.axhline(found.whole, color=VALID, linestyle="--", linewidth=1.2)
    token = explanation.model["token"]
    axes.set_xscale("log", base=2)
    axes.set_xticks(found.contexts, [str(c) for c in found.contexts])
    axes.minorticks_off()
    axes.set_xlabel(f"{token}s of context kept", color=INK)
    axes.set_ylabel(f"nats a {token}", color=INK)
    _plain(axes, "Effective memory (broken line: the whole text before)")


def _calibration(figure: Figure, explanation: Explanation, _: Fonts) -> None:
    found = explanation.calibration
    figure.set_size_inches(5, 4.6)
    axes = figure.subplots()
    filled = found.counts > 0
    width = 1 / len(found.counts)
    axes.bar(
        (np.arange(len(found.counts)) + 0.5) * width,
        0.3 * found.counts / found.counts.max(),
        width * 0.94,
        color=TRAIN,
        alpha=0.2,
    )
    axes.plot([0, 1], [0, 1], color=VALID, linestyle="--", linewidth=1.2)
    axes.plot(
        found.confidence[filled],
        found.accuracy[filled],
        color=TRAIN,
        marker="o",
        linewidth=1.4,
    )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("probability of the likeliest token", color=INK)
    axes.set_ylabel("how often it came", color=INK)
    _plain(axes, f"Calibration: expected error {found.error:.4f}")


def _plain(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10, loc="left", color=INK)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=FAINT, labelcolor=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#bbbbbb")
