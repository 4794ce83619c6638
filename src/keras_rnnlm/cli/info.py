"""`rnnlm info`: what a model is, its size, its figures."""

import json
from pathlib import Path
from typing import Any

import click

from keras_rnnlm.cli.base import Verb
from keras_rnnlm.cli.figures import short_row
from keras_rnnlm.cli.imports import import_option
from keras_rnnlm.cli.wording import count, size, table
from keras_rnnlm.errors import FolderError


@click.command(cls=Verb, short_help="Say what a model is: its size, its figures.")
@click.argument("model", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@import_option
def info(model: str, as_json: bool) -> None:
    """Say what MODEL is: its network, tokenizer, size and figures."""
    facts = _facts(Path(model))
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    network, tokenizer = facts["network"], facts["tokenizer"]
    rows = [
        ("model", facts["folder"]),
        (
            "network",
            f"{_cell(network)}, {network['layers']} x {network['units']} units, "
            f"{size(facts['parameters'])} weights",
        ),
        (
            "tokenizer",
            f"{tokenizer['kind']}, vocabulary of {count(facts['vocabulary_size'])}",
        ),
        ("protocol", facts["protocol"] or "by the size of the text"),
        ("on disk", f"{size(facts['bytes'])} bytes"),
        *_report_rows(facts["report"] or {}),
    ]
    click.echo(table(rows))


def _cell(network: dict[str, Any]) -> str:
    """The cell with its settings, where it has any; the kind of another network."""
    if "cell" not in network:
        return str(network["kind"])
    arguments = network.get("cell_arguments") or {}
    given = ", ".join(f"{key}={_typed(value)}" for key, value in arguments.items())
    return f"{network['cell']} ({given})" if given else str(network["cell"])


def _typed(value: Any) -> str:
    """A value as it is typed after --set."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _facts(folder: Path) -> dict[str, Any]:
    from keras_rnnlm.models.folder import load_folder, parameter_count

    network, tokenizer, config = load_folder(folder)
    report = folder / "report.json"
    return {
        "folder": str(folder),
        "network": {"kind": config.get("kind", "rnn")} | config["network"],
        "tokenizer": config["tokenizer"] | {"kind": tokenizer.kind},
        "vocabulary_size": tokenizer.vocabulary_size,
        "parameters": parameter_count(network),
        "protocol": config.get("protocol"),
        "bytes": sum(p.stat().st_size for p in folder.iterdir() if p.is_file()),
        "report": _report(report) if report.is_file() else None,
    }


def _report(path: Path) -> dict[str, Any]:
    """Read a report, whose figures are there as they were written.

    Raises:
        FolderError: It is damaged.
    """
    try:
        report: dict[str, Any] = json.loads(path.read_text("utf-8"))
        _report_rows(report)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FolderError(
            f"'{path}' is damaged ({error}). Copy it again, or remove it: the model "
            "beside it is whole."
        ) from error
    return report


def _report_rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [short_row(p, report[p]) for p in ("valid", "test") if report.get(p)]
