"""What `rnnlm tune` writes and prints when it ends."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_rnnlm.cli.base import is_typed
from keras_rnnlm.cli.compare import OF_TEXT
from keras_rnnlm.cli.process import program

if TYPE_CHECKING:
    from keras_rnnlm.cli.tune_progress import TuneProgress
    from keras_rnnlm.search.tune import Tuning


def write_search(found: "Tuning", command: str, progress: "TuneProgress") -> None:
    """Write tables, report and pictures into the folder of a search."""
    from keras_rnnlm.files import json_bytes
    from keras_rnnlm.search.tune_plots import write_plots
    from keras_rnnlm.search.tune_table import report_of, write_words

    write_words(found, found.folder, json_bytes(report_of(found, command)))
    note = write_plots(found, found.folder)
    if note is not None:
        progress.note(note)


def words_of_text(context: click.Context, options: dict[str, Any]) -> list[str]:
    """Return the words that said which text, and how it is read."""
    words = list(options["texts"])
    for option in context.command.params:
        name = option.name or ""
        if name in OF_TEXT and is_typed(context, name):
            value = options[name]
            for each in value if isinstance(value, tuple) else (value,):
                words += [option.opts[0], str(each)]
    return words


def print_search(
    found: "Tuning",
    context: click.Context,
    options: dict[str, Any],
    out: Path,
    command: str,
) -> None:
    """Print what was found, and what to do with it.

    Args:
        found: The search.
        context: Of the command.
        options: That were given.
        out: Folder of the search.
        command: That was typed.
    """
    from keras_rnnlm.search.tune_plots import IMPORTANCE, PARALLEL, PROGRESS
    from keras_rnnlm.search.tune_table import (
        finals_table,
        remarks,
        report_of,
        trials_table,
    )

    if options["as_json"]:
        click.echo(json.dumps(report_of(found, command), ensure_ascii=False))
    else:
        click.echo(trials_table(found))
        if found.finals:
            click.echo(f"\n{finals_table(found)}")
    for sentence in remarks(found):
        click.echo(sentence, err=True)
    best = "" if found.best is None else "best.toml, "
    lines = [
        f"{best}trials.csv, table.txt, report.json, {PROGRESS}, {PARALLEL} and "
        f"{IMPORTANCE} are in {out}."
    ]
    if found.best is not None:
        texts = shlex.join(words_of_text(context, options))
        recipe = shlex.quote(str(out / "best.toml"))
        lines.append(f"Now try: {program()} train {texts} --recipe {recipe}")
    click.echo("\n".join(lines), err=True)
