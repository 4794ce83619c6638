"""Tables and pictures of `docs/choosing*.md`, from the runs in `results/sweeps/`.

    python benchmarks/sweeps/tables.py            rewrite them
    python benchmarks/sweeps/tables.py --check    exit with 1 if tables differ

A table stands between `<!-- sweep: NAME -->` and `<!-- end -->`; its picture, where the
document shows it, is `docs/pictures/choosing-NAME.png`. What a table says nothing about
is as in BASES.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from keras_rnnlm.drawing import FAINT, INK, look, perplexity_scale, style
from keras_rnnlm.fonts import fonts_for, write_caption

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "sweeps"
PICTURES = ROOT / "docs" / "pictures"
DOCS = (ROOT / "docs" / "choosing.md", ROOT / "docs" / "choosing.zh-CN.md")

Run = dict[str, Any]

_BASE = {
    "cell": "lstm",
    "units": 256,
    "layers": 1,
    "embedding": None,
    "tie_weights": "true",
    "share": 1.0,
}
BASES: Mapping[str, Run] = MappingProxyType(
    {
        "ptb": {
            **_BASE,
            "dropout": 0.1,
            "batch_size": 20,
            "optimizer": "sgd",
            "learning_rate": 30.0,
        },
        "songci": {
            **_BASE,
            "dropout": 0.0,
            "batch_size": 20,
            "optimizer": "adam",
            "learning_rate": 0.016,
        },
        "shakespeare": {
            **_BASE,
            "dropout": 0.0,
            "batch_size": 32,
            "optimizer": "adam",
            "learning_rate": 0.006,
        },
    }
)
_UNSAID = {name: _BASE[name] for name in ("cell", "embedding", "tie_weights")}
"""What the line of a run may leave out."""
CELLS = ("simple_rnn", "mgu", "gru", "lstm")
WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "text": {"zh": "文本"},
        "units": {"zh": "单元数"},
        "learning_rate": {"en": "rate", "zh": "学习率"},
        "optimizer": {"zh": "优化器"},
        "layers": {"zh": "层数"},
        "batch_size": {"en": "lanes", "zh": "批大小"},
        "passes": {"zh": "遍数"},
        "cell": {"zh": "单元类型"},
        "embedding": {"en": "vectors", "zh": "词向量宽度"},
        "diverged": {"zh": "发散"},
        "minutes": {"zh": "分钟"},
    }
)


class View(NamedTuple):
    """A question to the runs.

    Attributes:
        across: The setting that goes from column to column.
        rows: Settings that go from row to row, after the text.
        minutes: Of each run.
        fixed: What differs from BASES in all of it.
        of_text: What differs from BASES for one text.
        passes: Whether the number of passes is worth a column.
    """

    across: str
    rows: tuple[str, ...] = ()
    minutes: float = 1
    fixed: Mapping[str, Any] = MappingProxyType({})
    of_text: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    passes: bool = False


_LONGER = MappingProxyType({"ptb": {"dropout": 0.2}})
VIEWS: Mapping[str, View] = MappingProxyType(
    {
        "units": View("units", ("learning_rate",)),
        "rates": View("learning_rate", ("optimizer",)),
        "gates": View("cell", ("units",)),
        "gates-3": View("cell", ("units", "learning_rate"), minutes=3, of_text=_LONGER),
        "dropout": View("dropout", ("units",), fixed={"share": 0.1}, passes=True),
        "lanes": View("batch_size", ("learning_rate",)),
        "layers": View("layers", ("units",)),
        "layers-3": View(
            "layers", ("units", "learning_rate"), minutes=3, of_text=_LONGER
        ),
        "rates-3": View(
            "learning_rate",
            ("cell", "units", "optimizer"),
            minutes=3,
            of_text=_LONGER,
        ),
        "vectors": View("embedding", fixed={"units": 512}),
    }
)


def main() -> int:
    """Write tables and pictures, or look whether the tables are as the runs say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    known = runs(RESULTS)
    wrong = 0
    for path in DOCS:
        old = path.read_text("utf-8")
        new = filled(old, known, "zh" if "zh" in path.name else "en")
        wrong += old != new
        if not given.check:
            path.write_text(new, encoding="utf-8")
    if given.check:
        return int(wrong > 0)
    shown = DOCS[0].read_text("utf-8")
    for name, view in VIEWS.items():
        path = PICTURES / f"choosing-{name}.png"
        if f"({PICTURES.name}/{path.name})" in shown:
            picture(selected(known, view), view, path)
    return 0


def runs(folder: Path) -> list[Run]:
    """Return the runs of all files of a folder; those that diverged have no nats."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            run = json.loads(line)
            for item in run["set"]:  # all that is known of a run that diverged
                name, _, value = item.partition("=")
                run.setdefault(name, _number(value))
            found.append({**_UNSAID, **run})
    return found


def _number(text: str) -> Any:
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def selected(known: Sequence[Run], view: View) -> list[Run]:
    """Return the runs that answer a question, in rows of two or more."""
    free = {view.across, *view.rows}
    found = []
    for run in known:
        text = run["text"]
        wanted = {**BASES[text], **view.fixed, **view.of_text.get(text, {})}
        same = all(run[k] == v for k, v in wanted.items() if k not in free)
        if same and run["minutes"] == view.minutes:
            found.append(run)
    columns: dict[tuple[Any, ...], set[Any]] = {}
    for run in found:
        columns.setdefault(_row(run, view), set()).add(run[view.across])
    return [run for run in found if len(columns[_row(run, view)]) > 1]


def _row(run: Run, view: View) -> tuple[Any, ...]:
    return (run["text"], *(run[name] for name in view.rows))


def _order(view: View, values: set[Any]) -> list[Any]:
    if view.across == "cell":
        return [cell for cell in CELLS if cell in values]
    return sorted(values, key=lambda value: (value is None, value))


def _rows(found: Sequence[Run], view: View) -> dict[tuple[Any, ...], dict[Any, Run]]:
    """Return runs by row and column; texts in the order of BASES."""
    grouped: dict[tuple[Any, ...], dict[Any, Run]] = {}
    for run in found:
        grouped.setdefault(_row(run, view), {})[run[view.across]] = run
    texts = list(BASES)
    return dict(sorted(grouped.items(), key=lambda i: (texts.index(i[0][0]), i[0][1:])))


def table(found: Sequence[Run], view: View, language: str) -> str:
    """Return runs as Markdown, the lowest perplexity of each row in bold."""

    def word(name: str) -> str:
        return WORDS.get(name, {}).get(language, name)

    rows = _rows(found, view)
    across = _order(view, {run[view.across] for run in found})
    few = sum(map(len, rows.values())) < 0.6 * len(rows) * len(across)
    heads = [word("text"), *map(word, view.rows)]
    heads += [word("passes")] if view.passes else []
    # Where rows share few columns each names its own.
    heads += [word(view.across)] if few else [_head(view, v, word) for v in across]
    lines = [heads, ["---"] * len(heads)]
    for key, runs_of_row in rows.items():
        ended = [run["nats"] for run in runs_of_row.values() if not _diverged(run)]
        best = min(ended, default=None)
        cells = [str(key[0]), *map(_value, key[1:])]
        if view.passes:
            most = max(run.get("epochs", 0.0) for run in runs_of_row.values())
            cells.append(f"{most:.0f}")
        figures = {
            value: _figure(run, run["nats"] == best, word("diverged"))
            for value, run in runs_of_row.items()
        }
        if few:
            pairs = sorted(figures.items())
            cells.append(", ".join(f"{_value(v)}: {text}" for v, text in pairs))
        else:
            cells += [figures.get(value, "") for value in across]
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _head(view: View, value: Any, word: Any) -> str:
    return f"{word(view.across)} {_value(value)}" if view.across != "cell" else value


def _value(value: Any) -> str:
    if value is None:
        return "= units"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _diverged(run: Run) -> bool:
    """Whether a run ended without a number, or worse than if all were as likely."""
    return run["nats"] is None or run["perplexity"] > run["vocabulary"]


def _figure(run: Run, best: bool, diverged: str) -> str:
    if _diverged(run):
        return diverged
    value = run["perplexity"]
    text = f"{value:.2f}" if value < 20 else f"{value:.1f}"
    return f"**{text}**" if best else text


def filled(text: str, known: Sequence[Run], language: str) -> str:
    """Return a document with its tables made anew."""

    def made(match: re.Match[str]) -> str:
        view = VIEWS[match[1]]
        body = table(selected(known, view), view, language)
        return f"<!-- sweep: {match[1]} -->\n\n{body}\n\n<!-- end -->"

    return re.sub(r"<!-- sweep: (\S+) -->.*?<!-- end -->", made, text, flags=re.DOTALL)


def picture(found: Sequence[Run], view: View, path: Path) -> None:
    """Draw perplexity over one setting, a panel a text, a line a row of the table."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = _rows(found, view)
    texts = [text for text in BASES if any(key[0] == text for key in rows)]
    figure = Figure(figsize=(4.2 * len(texts), 4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(texts), squeeze=False)[0]
    for text, axes in zip(texts, panels, strict=True):
        mine = {key: runs for key, runs in rows.items() if key[0] == text}
        across = _order(view, {value for runs in mine.values() for value in runs})
        figures = []
        for number, (key, runs_of_row) in enumerate(mine.items()):
            at = [
                v for v in across if v in runs_of_row and not _diverged(runs_of_row[v])
            ]
            values = [runs_of_row[value]["perplexity"] for value in at]
            names = zip(view.rows, key[1:], strict=True)
            label = ", ".join(f"{name} {_value(value)}" for name, value in names)
            colour, _ = look(number)
            places = [across.index(value) for value in at]
            axes.plot(places, values, "o-", color=colour, markersize=4, label=label)
            figures += values
        axes.set_title(text, color=INK, fontsize=10)
        axes.set_xticks(range(len(across)), [_value(value) for value in across])
        axes.set_xlabel(view.across, color=INK)
        perplexity_scale(axes, figures)
        style(axes)
        if view.rows:
            axes.legend(frameon=False, labelcolor=INK, fontsize=8)
    panels[0].set_ylabel("validation perplexity", color=INK)
    write_caption(figure, fonts_for(()), FAINT)
    figure.savefig(path, format="png")


if __name__ == "__main__":
    sys.exit(main())
