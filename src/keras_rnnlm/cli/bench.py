"""`rnnlm bench`: this machine's figures, beside those of the alternatives."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_rnnlm.cli.base import Duration, Session, Verb
from keras_rnnlm.cli.outputs import check_file
from keras_rnnlm.errors import ConfigError, nearest

if TYPE_CHECKING:
    from rich.table import Table

WIDTH = 100
QUICK_MODELS = "word-650"
QUICK_TASKS = "training,generation"
QUICK_PEERS = "ours,keras-jax-float32,torch,onnxruntime"
FULL_PEERS = "ours,keras,torch,onnxruntime"


@click.command(cls=Verb, short_help="Measure this machine, ours and the alternatives.")
@click.option("--quick", is_flag=True, help="One model, fewer turns: a minute or two.")
@click.option(
    "--models",
    metavar="NAME,...",
    help="What to measure: word-650, word-650-b64, char-512, tiny. All but tiny by "
    "default.",
)
@click.option(
    "--cells", metavar="NAME,...", default="lstm", show_default=True, help="lstm, gru."
)
@click.option(
    "--tasks",
    metavar="NAME,...",
    help="training, scoring, generation. All by default.",
)
@click.option(
    "--peers",
    metavar="NAME,...",
    help="Whom to measure: ours, keras, torch, onnxruntime, or one of them such as "
    "keras-jax-float32. All that are installed by default.",
)
@click.option(
    "--rounds", type=click.IntRange(min=1), help="Turns of each. 5 by default."
)
@click.option(
    "--seconds",
    type=Duration(),
    help="Length of a turn. 3 by default.",
)
@click.option(
    "--allocator",
    type=click.Choice(("kept", "own", "plain")),
    default="kept",
    show_default=True,
    help="Who keeps freed memory, as rnnlm does: all, ours alone (each as its users "
    "find it), or none.",
)
@click.option("--json", "json_path", metavar="FILE", help="Write the record; - prints.")
@click.option("--plot", "plot_path", metavar="FILE.png", help="Draw it.")
@click.pass_obj
def bench(
    session: Session,
    quick: bool,
    models: str | None,
    cells: str,
    tasks: str | None,
    peers: str | None,
    rounds: int | None,
    seconds: float | None,
    allocator: str,
    json_path: str | None,
    plot_path: str | None,
) -> None:
    """Measure what this machine can do, and what part of it is used.

    First the ceiling: how fast it multiplies large matrices, and reads memory. Then
    training, scoring and generation, ours beside what else is installed, in turns.
    Leave the machine alone meanwhile. The whole takes about half an hour.
    """
    from keras_rnnlm.bench.compare import Plan, benchmark
    from keras_rnnlm.bench.peers import chosen
    from keras_rnnlm.bench.workloads import CELLS, STANDARD, TASKS, workload

    for name, path in (("--json", json_path), ("--plot", plot_path)):
        check_file(name, None if path == "-" else path)
    named = _names(models or (QUICK_MODELS if quick else ",".join(STANDARD)))
    plan = Plan(
        workloads=[
            workload(name).with_cell(cell)
            for cell in _known(cells, CELLS, "cell")
            for name in named
        ],
        tasks=_known(
            tasks or (QUICK_TASKS if quick else ",".join(TASKS)), TASKS, "task"
        ),
        peers=chosen(_names(peers or (QUICK_PEERS if quick else FULL_PEERS))),
        rounds=rounds or (3 if quick else 5),
        seconds=seconds or (1.0 if quick else 3.0),
        ceiling_seconds=min(0.1 if quick else 0.3, seconds or 0.3),
        command=shlex.join(["rnnlm", *session.arguments]),
        allocator=allocator,
    )
    record = benchmark(plan, lambda line: click.echo(line, err=True))
    for table in tables(record):
        _show(table, err=json_path == "-")
    if json_path == "-":
        click.echo(json.dumps(record))
    elif json_path is not None:
        Path(json_path).write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    if plot_path is not None and record["results"]:
        from keras_rnnlm.bench.pictures import comparison

        comparison(record, plot_path)


def tables(record: dict[str, Any]) -> list["Table"]:
    """Return the tables of a record: the ceilings, then one a task, model and cell."""
    from keras_rnnlm.bench.pictures import groups

    return [
        _ceiling_table(record),
        *(_group_table(rows, record) for rows in groups(record["results"])),
    ]


def _ceiling_table(record: dict[str, Any]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    facts = record["machine"]
    table = Table(
        title=f"{facts['processor']}, {facts['cores']} cores: ceilings",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    for name in ("what", "rate", "best with"):
        table.add_column(name, justify="right" if name == "rate" else "left")
    for dtype, row in record["ceiling"].items():
        m, k, n = row["shape"]
        table.add_row(
            f"matrix products in {dtype}",
            f"{row['flops'] / 1e9:,.0f} GFLOP/s",
            f"{row['library']}, ({m}, {k}) x ({k}, {n})",
        )
    for row in record["bandwidth"]:
        table.add_row(
            f"reading {row['bytes'] / 1e6:,.1f} MB of weights",
            f"{row['bytes_per_second'] / 1e9:,.1f} GB/s",
            row["library"],
        )
    return table


def _group_table(rows: list[dict[str, Any]], record: dict[str, Any]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from keras_rnnlm.bench.pictures import title

    ours = [row for row in rows if row["family"] == "ours"]
    best = max((row["tokens_per_second"]["median"] for row in ours), default=None)
    table = Table(title=title(rows[0]), title_justify="left", box=SIMPLE_HEAD)
    for name, justify in (
        ("who", "left"),
        ("tokens/s", "right"),
        ("from", "right"),
        ("to", "right"),
        ("of ceiling", "right"),
        ("our best is", "right"),
        ("how", "left"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        rate = row["tokens_per_second"]
        ratio = "" if best is None else f"{best / rate['median']:.2f}x"
        loops = "+".join(dict.fromkeys(row["loops"] or []))
        table.add_row(
            row["peer"],
            f"{rate['median']:,.0f}",
            f"{rate['min']:,.0f}",
            f"{rate['max']:,.0f}",
            f"{row['fraction']:.0%}",
            ratio,
            f"{row['how']}, loop {loops}" if loops else row["how"],
        )
    place = {key: rows[0][key] for key in ("task", "workload", "cell")}
    for failure in record["failed"]:
        if all(failure[key] == value for key, value in place.items()):
            table.add_row(failure["peer"], "failed", *[""] * 4, failure["reason"])
    for absent in record["missing"]:
        table.add_row(absent["peer"], "absent", *[""] * 4, absent["reason"])
    return table


def _show(table: "Table", err: bool) -> None:
    from rich.console import Console

    console = Console(stderr=err)
    # A pipe or a file has no width of its own.
    Console(stderr=err, width=console.width if console.is_terminal else WIDTH).print(
        table
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _known(text: str, choices: tuple[str, ...], what: str) -> list[str]:
    names = _names(text)
    for name in names:
        if name not in choices:
            raise ConfigError(
                f"There is no {what} '{name}'.{nearest(name, choices)} "
                f"Known: {', '.join(choices)}."
            )
    return names
