"""A picture of a comparison: everybody's share of the machine's ceiling."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

INK = "#333333"
FAINT = "#8a8a8a"
COLOURS = {
    "ours": "#d1495b",
    "keras": "#4c78a8",
    "torch": "#e8a33d",
    "onnxruntime": "#6a9f58",
}


def groups(results: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the rows that belong together: one task on one model with one cell."""
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in results:
        key = (row["task"], row["workload"], row["cell"])
        found.setdefault(key, []).append(row)
    return list(found.values())


def title(row: dict[str, Any]) -> str:
    """Return what a group is about, in a line."""
    shape = f"{row['layers']} x {row['units']}, vocabulary {row['vocabulary']:,}"
    if row["task"] == "generation":
        rows = "one text at a time"
    else:
        rows = f"batch {row['batch']}"
        rows += f", {row['steps']} steps" if row["task"] == "training" else ""
    return f"{row['task']}: {row['cell'].upper()} {shape}, {rows}"


def comparison(record: dict[str, Any], path: str | Path) -> None:
    """Draw a `compare.benchmark` record, a panel for each task, model and cell.

    Bars are fractions of the ceiling of each contestant's own type, with tokens a
    second beside them; thin lines span the slowest and the fastest run.

    Args:
        record: What `benchmark` returned, with at least one result.
        path: The PNG file to write.
    """
    # Matplotlib takes most of a second to import, and only this function needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = groups(record["results"])
    heights = [len(rows) + 1.2 for rows in panels]
    figure = Figure(
        figsize=(9, 0.34 * sum(heights) + 0.9), dpi=130, layout="constrained"
    )
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(
        len(panels), 1, sharex=True, squeeze=False, height_ratios=heights
    )[:, 0]
    most = max(row["fraction"] for row in record["results"])
    for axes, rows in zip(all_axes, panels, strict=True):
        for i, row in enumerate(rows):
            rate = row["tokens_per_second"]
            scale = row["fraction"] / rate["median"]
            axes.barh(i, row["fraction"], 0.7, color=COLOURS[row["family"]])
            axes.plot(
                [rate["min"] * scale, rate["max"] * scale], [i, i], color=INK, lw=1
            )
            axes.text(
                rate["max"] * scale + 0.01 * most,
                i,
                f"{rate['median']:,.0f} tokens/s",
                va="center",
                fontsize=8,
                color=INK,
            )
        axes.set_yticks(range(len(rows)), [row["peer"] for row in rows], fontsize=8)
        axes.invert_yaxis()
        axes.set_title(title(rows[0]), fontsize=9, loc="left", color=INK)
        axes.set_xlim(0, most * 1.25)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(colors=FAINT, labelcolor=INK)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("#bbbbbb")
    all_axes[-1].set_xlabel("of the ceiling of its type", color=INK)
    machine = record["machine"]
    figure.suptitle(
        f"{machine['processor']}, {machine['cores']} cores, {record['date'][:10]}",
        fontsize=9,
        color=FAINT,
    )
    figure.savefig(path, format="png")
