"""The pictures of an explanation, as PNG files for where a page cannot go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_rnnlm.drawing import FAINT, INK, TRAIN, VALID
from keras_rnnlm.explanation.gates import LayerGates
from keras_rnnlm.explanation.result import Explanation
from keras_rnnlm.fonts import Fonts, fonts_for, write_caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    pictures: list[tuple[str, Callable[[Figure], None] | None]] = [
        ("surprisal", lambda figure: _surprisal(figure, explanation, fonts)),
        ("attribution", lambda figure: _attribution(figure, explanation, fonts)),
        (
            "gates",
            (lambda figure: _gates(figure, explanation, fonts))
            if explanation.gates
            else None,
        ),
        (
            "memory",
            (lambda figure: _memory(figure, explanation))
            if explanation.memory
            else None,
        ),
        ("calibration", lambda figure: _calibration(figure, explanation)),
    ]
    written = []
    for name, painter in pictures:
        if painter is not None:
            path = stem.with_name(f"{stem.name}-{name}.png")
            _write(path, painter, fonts)
            written.append(path)
    return written


def _write(path: Path, painter: Callable[[Figure], None], fonts: Fonts) -> None:
    # Matplotlib takes most of a second to import, and only pictures need it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with fonts.used():
        figure = Figure(figsize=(8, 5), dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        painter(figure)
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
    rows = explanation.attribution.gradients[:TOKENS].T
    largest = float(np.quantile(np.abs(rows), 0.995)) or 1.0
    figure.set_size_inches(10, 4.5)
    axes = figure.subplots()
    image = axes.imshow(
        rows,
        aspect="auto",
        cmap="RdBu",
        vmin=-largest,
        vmax=largest,
        interpolation="nearest",
    )
    found = explanation.surprisal
    _token_axis(axes, found.pieces, found.tokens, fonts)
    backs = range(0, len(rows), 4)
    axes.set_yticks(backs, [str(back + 1) for back in backs])
    token = explanation.model["token"]
    axes.set_ylabel(f"{token}s back", color=INK)
    axes.set_title(
        f"What each prediction rests on: integrated gradients (nats), first "
        f"{rows.shape[1]} {token}s",
        fontsize=10,
        loc="left",
        color=INK,
    )
    figure.colorbar(image, ax=axes, pad=0.01).ax.tick_params(labelsize=8)


def _gates(figure: Figure, explanation: Explanation, fonts: Fonts) -> None:
    """The gate that holds, or the state, of each layer."""
    layers = explanation.gates
    figure.set_size_inches(10, 0.6 + 2.6 * len(layers))
    before = explanation.text["before"]
    pieces = [before, *explanation.surprisal.pieces[:-1]]
    names = [before, *explanation.surprisal.tokens[:-1]]
    for number, axes in enumerate(figure.subplots(len(layers), 1, squeeze=False)[:, 0]):
        title, values, low = _chosen(layers[number])
        image = axes.imshow(
            values[:TOKENS].T,
            aspect="auto",
            cmap="Blues" if low == 0 else "RdBu",
            vmin=low,
            vmax=1,
            interpolation="nearest",
        )
        _token_axis(axes, pieces, names, fonts)
        axes.set_ylabel("units", color=INK)
        axes.set_yticks([])
        axes.set_title(
            f"Layer {number + 1}: {title}", fontsize=10, loc="left", color=INK
        )
        figure.colorbar(image, ax=axes, pad=0.01).ax.tick_params(labelsize=8)


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


def _token_axis(axes: Axes, pieces: list[str], names: list[str], fonts: Fonts) -> None:
    labels = [
        _visible(piece, fonts, name).lstrip("␣") or "␣"
        for piece, name in zip(pieces[:TOKENS], names[:TOKENS], strict=True)
    ]
    long = max(map(len, labels)) > 2
    axes.set_xticks(range(len(labels)), labels, rotation=90 if long else 0, fontsize=8)
    axes.tick_params(length=0, colors=FAINT, labelcolor=INK)


def _memory(figure: Figure, explanation: Explanation) -> None:
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


def _calibration(figure: Figure, explanation: Explanation) -> None:
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
