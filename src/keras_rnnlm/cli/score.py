"""`rnnlm score`: the log-probability of each line of a text."""

from collections.abc import Iterable, Iterator

import click

from keras_rnnlm.cli.base import Verb
from keras_rnnlm.cli.example import after_example, example_options
from keras_rnnlm.cli.imports import import_option

FORMATS = ("words", "total", "jsonl")


@click.command(cls=Verb, short_help="Print how probable each line of a text is.")
@click.argument("model", type=click.Path())
@click.argument("file", default="-", type=click.Path())
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="words",
    show_default=True,
    help="words: a row a token (token, ln p, log10 p, OOV). total: ln p of each line. "
    "jsonl: an object a line.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    help="Most lines scored side by side; no score depends on it.",
)
@click.option("--encoding", default="utf-8", show_default=True, help="Of the file.")
@example_options
@import_option
def score(
    model: str,
    file: str,
    form: str,
    batch_size: int | None,
    encoding: str,
    example: str | None,
    by: str,
) -> None:
    """Print how probable MODEL finds each line of FILE (- or nothing: stdin).

    Each line is scored by itself, with its line end, from a zero state. Empty lines are
    scored too, so the scores stay in step with the lines.
    """
    from keras_rnnlm.data.text import find_files
    from keras_rnnlm.language_model import load
    from keras_rnnlm.program_cache import keep_programs
    from keras_rnnlm.scoring.formats import formatter

    write = formatter(form)
    files = find_files([file], encoding)  # before the model: a slip shows at once
    keep_programs()
    lm = after_example(load(model), example, by, encoding)
    for found in files:
        for scored in lm.score_lines(_lines(found.blocks()), batch_size):
            click.echo(write(scored), nl=False)


def _lines(blocks: Iterable[str]) -> Iterator[str]:
    """Cut blocks of text at their line ends, and nowhere else."""
    rest = ""
    for block in blocks:
        *lines, rest = (rest + block).split("\n")
        yield from lines
    if rest:
        yield rest
