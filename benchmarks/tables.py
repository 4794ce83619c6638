"""Writes the tables of `README.md` from the records in `results/`.

    python benchmarks/tables.py            rewrite them
    python benchmarks/tables.py --check    exit with 1 if they differ

A record is a JSON file with `kind`, `date`, `command`, `machine` and `versions`. Kinds:
`comparison` (`rnnlm bench --json`), `precision`, `scaling`, and `figures`, which has a
`title` and flat `rows` that become a table as they are.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_rnnlm.bench.pictures import groups, title

HERE = Path(__file__).resolve().parent
BEGIN = "<!-- Made by tables.py from results/; do not edit by hand. -->"
END = "<!-- End of what tables.py makes. -->"

ALLOCATORS = {
    "own": "Each as its users find it: ours keeps freed memory, the others do not.",
    "plain": "With the C library's own way of freeing memory, for all.",
}

Record = dict[str, Any]


def records(folder: Path) -> dict[str, Record]:
    """Return the records of a folder by file name, in the order of names."""
    return {
        path.name: json.loads(path.read_text("utf-8"))
        for path in sorted(folder.glob("*.json"))
    }


def section(name: str, record: Record) -> list[str]:
    """Return one record as lines of Markdown."""
    facts = record["machine"]
    caches = ", ".join(f"{k} {v >> 10:,} KiB" for k, v in facts["caches"].items())
    versions = ", ".join(f"{k} {v}" for k, v in record["versions"].items())
    head = [
        f"### {name}",
        "",
        f"`{record['command']}`",
        "",
        f"{record['date'][:10]}; {facts['processor']}, {facts['cores']} cores, "
        f"{', '.join(facts['instructions'])}; {caches}; {facts['system']}; {versions}.",
        "",
    ]
    body = {
        "comparison": comparison,
        "precision": precision,
        "scaling": scaling,
        "figures": figures,
    }[record["kind"]](record)
    return [*head, *body]


def comparison(record: Record) -> list[str]:
    """Return the ceilings and a table for each task, model and cell."""
    products = [
        f"{dtype} {row['flops'] / 1e9:.0f} GFLOP/s ({row['library']}, "
        f"{'x'.join(map(str, row['shape']))})"
        for dtype, row in record["ceiling"].items()
    ]
    reading = [
        f"{row['bytes'] / 1e6:.1f} MB of weights at "
        f"{row['bytes_per_second'] / 1e9:.1f} GB/s ({row['library']})"
        for row in record["bandwidth"]
    ]
    said = [f"Ceilings: {'; '.join(products + reading)}.", ""]
    if record["allocator"] != "kept":
        said += [ALLOCATORS[record["allocator"]], ""]
    for rows in groups(record["results"]):
        ours = [r for r in rows if r["family"] == "ours"]
        best = max((r["tokens_per_second"]["median"] for r in ours), default=None)
        body = []
        for row in rows:
            rate = row["tokens_per_second"]
            body.append(
                [
                    row["peer"],
                    f"{rate['median']:,.0f}",
                    f"{rate['min']:,.0f} to {rate['max']:,.0f}",
                    f"{row['fraction']:.0%}",
                    "" if best is None else f"{best / rate['median']:.2f}",
                    how(row),
                ]
            )
        head = ["who", "tokens/s", "runs", "of ceiling", "our best / this", "how"]
        runs = len(rows[0]["tokens_per_second"]["runs"])
        said += [f"{title(rows[0])} (median of {runs}):", "", *_table(head, body), ""]
    for row in record["failed"]:
        said.append(
            f"Failed: {row['peer']} at {row['task']} of {row['workload']} "
            f"{row['cell']}: {row['reason']}."
        )
    for row in record["missing"]:
        said.append(f"Absent: {row['peer']}: {row['reason']}.")
    return said


def how(row: Record) -> str:
    """Return how a contestant did it: ours by the loop that its layers took."""
    loops = "+".join(dict.fromkeys(row["loops"] or []))
    return f"{row['how']}, loop {loops}" if loops else row["how"]


def precision(record: Record) -> list[str]:
    """Return both validation curves side by side, and the difference at the end."""
    both = record["precisions"]
    names = list(both)
    body = [
        [
            f"{wide['step']:,}",
            f"{wide['valid_loss']:.4f}",
            f"{narrow['valid_loss']:.4f}",
            f"{narrow['valid_loss'] / wide['valid_loss'] - 1:+.2%}",
        ]
        for wide, narrow in zip(*(both[name]["curve"] for name in names), strict=True)
    ]
    ends = [both[name]["valid_loss"] for name in names]
    body.append(
        ["end, in float32", *(f"{e:.4f}" for e in ends), f"{record['difference']:+.2%}"]
    )
    model = record["model"]
    return [
        f"{model['cell'].upper()} {model['layers']} x {model['units']}, vocabulary "
        f"{record['vocabulary']:,}, batch {model['batch']}, {model['steps']} steps; "
        "validation loss in nats a token:",
        "",
        *_table(["step", *names, "difference"], body),
    ]


def scaling(record: Record) -> list[str]:
    """Return a table for each series."""
    said: list[str] = []
    for series in ("units", "vocabulary", "text"):
        points = [p for p in record["points"] if p["series"] == series]
        if not points:
            continue
        kinds = sorted({p["kind"] for p in points})
        sizes = sorted({p["size"] for p in points})
        by_place = {(p["size"], p["kind"]): p for p in points}
        size_name = "MB of text" if series == "text" else series
        if series == "text":
            what = "From a text file to batches, microseconds a token:"
            head = [size_name]
            for kind in kinds:
                head += [f"{kind}s: vocabulary", "encoding", "batches", "memory"]
        else:
            model = points[0]
            other = (
                f"vocabulary {model['vocabulary']:,}"
                if series == "units"
                else f"{model['units']} units"
            )
            what = (
                f"Training by {series} (LSTM, {model['layers']} layer(s), {other}, "
                f"batch {model['batch']}, {model['steps']} steps), microseconds a "
                "token and GFLOP/s:"
            )
            head = [size_name]
            for kind in kinds:
                head += [kind, "GFLOP/s"]
        body = []
        for size in sizes:
            row = [f"{size:,}"]
            for kind in kinds:
                row += _cells(by_place.get((size, kind)), series)
            body.append(row)
        said += [what, "", *_table(head, body), ""]
    return said[:-1]


def figures(record: Record) -> list[str]:
    """Return the rows as they are."""
    head = list(dict.fromkeys(key for row in record["rows"] for key in row))
    body = [[_figure(row.get(key)) for key in head] for row in record["rows"]]
    return [f"{record['title']}:", "", *_table(head, body)]


def page(text: str, folder: Path) -> str:
    """Return a page with what stands between its two marks made anew."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"README.md lacks the line '{BEGIN}' or '{END}'.")
    made: list[str] = []
    for name, record in records(folder).items():
        made += ["", *section(name, record)]
        while made[-1] == "":
            made.pop()
    return "\n".join([f"{before}{BEGIN}", *made, "", f"{END}{after}"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args(arguments)
    path = HERE / "README.md"
    text = path.read_text("utf-8")
    made = page(text, HERE / "results")
    if given.check:
        print("the tables agree" if made == text else "the tables differ: make them")
        return int(made != text)
    path.write_text(made, "utf-8")
    return 0


def _cells(point: Record | None, series: str) -> list[str]:
    if series == "text":
        if point is None:
            return [""] * 4
        grown = point["memory_after"] - point["memory_before"]
        parts = [f"{point['parts'][k]:.3f}" for k in point["parts"]]
        return [*parts, f"+{grown:.0f} MB"]
    if point is None:
        return [""] * 2
    return [f"{point['microseconds']:.1f}", f"{point['gflops']:.0f}"]


def _figure(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return str(value)


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---"] * len(head)
    return [f"| {' | '.join(row)} |" for row in [head, rule, *body]]


if __name__ == "__main__":
    sys.exit(main())
