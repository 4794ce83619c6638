"""The pictures of a search: progress, parallel coordinates, importance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_rnnlm.drawing import (
    COLOURS,
    FAINT,
    GRID,
    INK,
    SHOWN,
    frame,
    legend,
    perplexity_scale,
    round_numbers,
    save,
    say,
)
from keras_rnnlm.fonts import Fonts, fonts_for
from keras_rnnlm.search.importance import LEAST, busiest_rung, importances
from keras_rnnlm.search.space import Choice, Dimension
from keras_rnnlm.search.study import Record, facts_key
from keras_rnnlm.search.trial_records import perplexity_of
from keras_rnnlm.search.tune import Tuning
from keras_rnnlm.search.tune_table import value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PROGRESS, PARALLEL, IMPORTANCE = "progress.png", "parallel.png", "importance.png"
_BEST = "#d55e00"
_MOST_FLAT = 0.05


def write_plots(tuning: Tuning, folder: Path) -> str | None:
    """Draw all pictures of a search into a folder.

    Returns:
        A word about characters that no font has; None if nothing is missing.
    """
    words = [title_of(tuning)]
    for key, dimension in tuning.plan.space.items():
        words += [key, str(dimension)]
    fonts = fonts_for(words)
    with fonts.used():
        progress_plot(tuning, folder / PROGRESS, fonts)
        parallel_plot(tuning, folder / PARALLEL, fonts)
        importance_plot(tuning, folder / IMPORTANCE, fonts)
    return fonts.note


def title_of(tuning: Tuning) -> str:
    """Return the name of the text: of its first file."""
    names = tuning.data.get("train", {}).get("files", [])
    return Path(names[0]).name if names else "text"


def progress_plot(tuning: Tuning, path: Path, fonts: Fonts) -> None:
    """Draw the perplexity of all trials over the time of the search.

    A mark for each rung of a trial, at the time when it was finished; a line for the
    best so far on the highest rung; level lines for the final runs.
    """
    figure, axes = frame(f"Search on {title_of(tuning)}", fonts)
    rungs = tuning.plan.rungs
    points = {rung: _points(tuning.trials, rung) for rung in range(len(rungs.budgets))}
    points = {rung: rows for rung, rows in points.items() if rows}
    finals = [f for f in tuning.finals.values() if f.perplexity is not None]
    values = [value for rows in points.values() for _, value in rows]
    values += [final.perplexity for final in finals if final.perplexity is not None]
    if not values:
        say(axes, "no trial has figures")
        return save(figure, axes, path)
    highest = SHOWN * min(values)
    for rung, rows in points.items():
        colour = COLOURS[rung % len(COLOURS)]
        shown = [row for row in rows if row[1] <= highest]
        axes.plot(
            [x for x, _ in shown],
            [y for _, y in shown],
            linestyle="",
            marker="o",
            markersize=4 + 1.5 * rung,
            alpha=0.8,
            color=colour,
            label=f"after {rungs.text(rung)} ({len(rows)} trials)",
        )
        if len(shown) < len(rows):
            axes.plot(
                [x for x, y in rows if y > highest],
                [0.985] * (len(rows) - len(shown)),
                linestyle="",
                marker=6,
                color=colour,
                transform=axes.get_xaxis_transform(),
            )
    top = max(points, default=None)
    if top is not None:
        xs, ys = _best_so_far(points[top])
        end = max(x for rows in points.values() for x, _ in rows)
        axes.step(
            [*xs, end],
            [*ys, ys[-1]],
            where="post",
            color=COLOURS[top % len(COLOURS)],
            linewidth=1.2,
            label=f"best so far after {rungs.text(top)}",
        )
    for number, final in enumerate(finals):
        if final.perplexity is None or final.same_as is not None:
            continue
        same = [each.name for each in finals if each.same_as == final.name]
        names = " and ".join([final.name, *same])
        axes.axhline(
            final.perplexity,
            color=INK,
            linewidth=0.9,
            linestyle=("-", "--", ":", "-.")[number % 4],
            label=f"final run of {names}: {final.perplexity:#.4g}",
        )
    perplexity_scale(axes, [value for value in values if value <= highest])
    axes.set_xlabel("seconds of the search", color=INK)
    axes.set_ylabel("validation perplexity", color=INK)
    axes.set_xlim(left=0)
    legend(axes)
    save(figure, axes, path)


def parallel_plot(tuning: Tuning, path: Path, fonts: Fonts) -> None:
    """Draw each trial as a line through the values of its settings.

    On the rung that most trials have finished; the last axis is their perplexity, and
    the colour says the same. The best on the highest rung is drawn on top.
    """
    import matplotlib as mpl
    from matplotlib.colors import LogNorm

    space = tuning.plan.space
    rung = busiest_rung(tuning.trials)
    width = max(8.0, 1.35 * (len(space) + 2))
    text = "" if rung is None else f", after {tuning.plan.rungs.text(rung)}"
    figure, axes = frame(
        f"Settings and perplexity on {title_of(tuning)}{text}", fonts, width
    )
    rows = _with_values(tuning.trials, rung)
    if not rows:
        say(axes, "no trial has figures")
        return save(figure, axes, path)
    values = [value for _, value in rows]
    lowest, highest = min(values), min(max(values), SHOWN * min(values))
    highest = max(highest, lowest * (1 + _MOST_FLAT))
    norm, colours = LogNorm(lowest, highest), mpl.colormaps["viridis"]
    best = tuning.best[0].number if tuning.best is not None else -1
    places = {key: _Axis(dimension) for key, dimension in space.items()}
    for trial, value in sorted(rows, key=lambda row: -row[1]):
        heights = [places[key].height(trial.params.get(key)) for key in space]
        share = math.log(min(value, highest) / lowest) / math.log(highest / lowest)
        mine = trial.number == best
        axes.plot(
            range(len(space) + 1),
            [*heights, share],
            color=_BEST if mine else colours(norm(min(value, highest))),
            linewidth=2.4 if mine else 1.0,
            alpha=1.0 if mine else 0.75,
            zorder=3 if mine else 2,
            label=f"best: trial {best}" if mine else None,
        )
    for place, key in enumerate(space):
        axes.axvline(place, color=FAINT, linewidth=0.8, zorder=1)
        for height, word in places[key].ticks():
            _tick(axes, place, height, fonts.label(word))
    axes.axvline(len(space), color=FAINT, linewidth=0.8, zorder=1)
    for tick in round_numbers(lowest, highest):
        share = math.log(tick / lowest) / math.log(highest / lowest)
        _tick(axes, len(space), share, f"{tick:,.10g}")
    names = [fonts.label(key).replace("_", "_\n") for key in space]
    axes.set_xticks(range(len(space) + 1), [*names, "perplexity"])
    axes.set_yticks([])
    axes.set_xlim(-0.15, len(space) + 0.6)
    axes.set_ylim(-0.04, 1.04)
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="x", length=0, labelcolor=INK)
    if any(trial.number == best for trial, _ in rows):
        axes.legend(
            loc="lower right", bbox_to_anchor=(1, 1), frameon=False, labelcolor=INK
        )
    figure.savefig(path, format="png")


def importance_plot(tuning: Tuning, path: Path, fonts: Fonts) -> None:
    """Draw how much each setting mattered for being among the best."""
    figure, axes = frame(f"Which settings mattered on {title_of(tuning)}", fonts)
    found = importances(tuning.trials)
    rung = busiest_rung(tuning.trials)
    if found is None or rung is None:
        say(axes, f"fewer than {LEAST} trials have figures on one rung")
        return save(figure, axes, path)
    names = list(reversed(found))
    shares = [100 * found[name] for name in names]
    bars = axes.barh(range(len(names)), shares, color=COLOURS[0], height=0.65)
    axes.bar_label(bars, [f"{share:.0f}%" for share in shares], padding=4, color=INK)
    axes.set_yticks(range(len(names)), [fonts.label(name) for name in names])
    axes.set_xlim(0, 1.12 * max(shares))
    count = len(_with_values(tuning.trials, rung))
    axes.set_xlabel(
        f"importance by PED-ANOVA, {count} trials after {tuning.plan.rungs.text(rung)}",
        color=INK,
    )
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    save(figure, axes, path)


class _Axis:
    """Where the values of a setting lie between 0 and 1."""

    def __init__(self, dimension: Dimension) -> None:
        self._dimension = dimension

    def height(self, value: Any) -> float:
        dimension = self._dimension
        if isinstance(dimension, Choice):
            values = dimension.values
            return values.index(value) / max(1, len(values) - 1)
        low, high = dimension.low, dimension.high
        if dimension.log:
            return math.log(value / low) / math.log(high / low)
        return float((value - low) / (high - low))

    def ticks(self) -> list[tuple[float, str]]:
        dimension = self._dimension
        if isinstance(dimension, Choice):
            return [(self.height(v), value_text(v)) for v in dimension.values]
        low, high = dimension.low, dimension.high
        if dimension.log:
            inner = [n for n in round_numbers(low, high) if low < n < high]
            inner = inner[:: len(inner) // 5 + 1]
        elif dimension.whole and high - low <= 6:
            inner = list(range(int(low) + 1, int(high)))
        else:
            inner = [low + (high - low) * k / 4 for k in (1, 2, 3)]
            inner = [round(n) for n in inner] if dimension.whole else inner
        # None so near to an end that the two would overlap.
        kept = [n for n in inner if 0.06 < self.height(n) < 0.94]
        return [(self.height(n), f"{n:.3g}") for n in (low, *kept, high)]


def _tick(axes: Axes, x: float, y: float, text: str) -> None:
    axes.text(
        x + 0.04,
        y,
        text,
        fontsize=7,
        color=INK,
        va="center",
        zorder=4,
        bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8},
    )


def _points(trials: Sequence[Record], rung: int) -> list[tuple[float, float]]:
    """Return (seconds of the search, perplexity) of a rung, in order of time."""
    found = []
    for trial, value in _with_values(trials, rung):
        facts: Mapping[str, Any] = trial.user_attrs.get(facts_key(rung), {})
        if "at" in facts:
            found.append((float(facts["at"]), value))
    return sorted(found)


def _with_values(
    trials: Sequence[Record], rung: int | None
) -> list[tuple[Record, float]]:
    """Return trials with their perplexity on a rung, those that have one."""
    rows = []
    for trial in trials:
        value = None if rung is None else trial.intermediate_values.get(rung)
        perplexity = perplexity_of(value)
        if perplexity is not None:
            rows.append((trial, perplexity))
    return rows


def _best_so_far(
    points: Sequence[tuple[float, float]],
) -> tuple[list[float], list[float]]:
    xs: list[float] = []
    ys: list[float] = []
    for x, y in points:
        if not ys or y < ys[-1]:
            xs.append(x)
            ys.append(y)
    return xs, ys
