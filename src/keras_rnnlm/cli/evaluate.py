"""`rnnlm evaluate`: perplexity and the other figures of a model on a text."""

import json

import click

from keras_rnnlm.cli.base import Verb
from keras_rnnlm.cli.figures import report_rows
from keras_rnnlm.cli.imports import import_option
from keras_rnnlm.cli.wording import table


@click.command(cls=Verb, short_help="Measure how well a model predicts a text.")
@click.argument("model", type=click.Path())
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--protocol",
    help="What the state remembers: carry (through each whole file), sentence (reset "
    "at each line), window:N (every N tokens) or lanes:K. The model's own by default.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    help="Most segments scored side by side; no figure depends on it.",
)
@click.option(
    "--weights",
    type=click.Choice(["float32", "bfloat16", "int8"]),
    help="Measure the model as `rnnlm generate --weights` uses it.",
)
@click.option("--encoding", default="utf-8", show_default=True, help="Of the texts.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@import_option
def evaluate(
    model: str,
    texts: tuple[str, ...],
    protocol: str | None,
    batch_size: int | None,
    weights: str | None,
    encoding: str,
    as_json: bool,
) -> None:
    """Measure how well MODEL predicts TEXT... (files, folders, or - for stdin)."""
    from keras_rnnlm.cli.progress import reading
    from keras_rnnlm.language_model import load
    from keras_rnnlm.program_cache import keep_programs

    keep_programs()
    lm = load(model)
    if weights is not None:
        lm = lm.quantize(weights)
    with reading("evaluating") as progress:
        report = lm.evaluate(
            texts,
            protocol,
            encoding=encoding,
            batch_size=batch_size,
            progress=progress,
        )
    figures = {**report.to_dict(), "weights": weights or "float32"}
    if as_json:
        click.echo(json.dumps(figures, ensure_ascii=False))
    else:
        rows = report_rows(figures)
        if weights is not None:
            rows.insert(1, ("weights", weights))
        click.echo(table(rows))
