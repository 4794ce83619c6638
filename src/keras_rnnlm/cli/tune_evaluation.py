"""`rnnlm tune-evaluation`: searches what is added to a model at evaluation time."""

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_rnnlm.cli.additions import (
    load_ngram,
    model_folders,
    ngram_options,
    working,
)
from keras_rnnlm.cli.base import Duration, Verb
from keras_rnnlm.cli.figures import TITLES
from keras_rnnlm.cli.imports import import_option
from keras_rnnlm.cli.wording import figure, table
from keras_rnnlm.errors import FolderError
from keras_rnnlm.models.ensemble_folder import is_ensemble

if TYPE_CHECKING:
    from keras_rnnlm.scoring.tuned import Tuned


@click.command(
    "tune-evaluation",
    cls=Verb,
    short_help="Search dynamic evaluation, cache and weights.",
)
@click.argument("model", type=click.Path())
@click.argument("valid", metavar="VALID...", nargs=-1, required=True, type=click.Path())
@ngram_options
@click.option(
    "--ngram-order",
    type=click.IntRange(min=1),
    help="Of --ngram fit; 5, for characters 7, by default.",
)
@click.option(
    "--minutes",
    type=Duration(),
    default=10.0,
    show_default=True,
    help="About how long the search may take.",
)
@click.option("--encoding", default="utf-8", show_default=True, help="Of the texts.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@import_option
def tune_evaluation(
    model: str, valid: tuple[str, ...], minutes: float, as_json: bool, **options: Any
) -> None:
    """Search how MODEL is best evaluated, on validation text VALID..., and store it.

    Temperature, dynamic evaluation and continuous cache always; with --train dynamic
    evaluation in its scaled form too; with --ngram, --ensemble and --mc-dropout the
    weights of those. `rnnlm evaluate MODEL TEXT --system` then uses what was found.
    The models of a MODEL that is an ensemble are searched for as one. Give validation
    text, never the text whose figures you will report.
    """
    import time

    from keras_rnnlm.language_model import load
    from keras_rnnlm.program_cache import keep_programs
    from keras_rnnlm.scoring.tuned_ensemble import TunedEnsemble
    from keras_rnnlm.scoring.tuned_files import check_writable, write_tuned

    folders = model_folders(model)
    whole = is_ensemble(Path(model))
    if whole and options["ensemble"]:
        raise click.UsageError(
            f"'{model}' is an ensemble, whose models are searched for together; leave "
            "--ensemble out, or give one of its model folders."
        )
    begun = time.monotonic()
    keep_programs()
    lm = load(folders[0])
    check_writable(model)  # before the search, whose result goes there
    encoding = options["encoding"]
    train = options["train_texts"]
    ngram = load_ngram(lm, options["ngram"], train, encoding, options["ngram_order"])
    search: Callable[..., Any] = lm.tune_evaluation
    if whole:
        ensemble = TunedEnsemble([lm, *map(load, folders[1:])])
        search = ensemble.tune_evaluation
    elif options["ensemble"]:
        beside = [f for given in options["ensemble"] for f in model_folders(given)]
        search = partial(search, ensemble=[load(folder) for folder in beside])
    with working("evaluating") as progress:
        tuned = search(
            valid,
            train or None,
            seconds=max(60 * minutes - (time.monotonic() - begun), 0.0),
            mc_dropout=options["mc_dropout"] or 0,
            ngram=ngram,
            encoding=encoding,
            progress=progress,
        )
    found = {
        "lines": [line.to_dict() for line in tuned.lines],
        "record": dict(tuned.record),
        "seconds": time.monotonic() - begun,
    }
    try:
        write_tuned(model, tuned, lm.tokenizer)
        rows = [("stored in", f"{model} ({found['seconds']:.0f} s)")]
    except FolderError:
        _show(tuned, found, [], as_json)  # what was found; the error follows
        raise
    _show(tuned, found, rows, as_json)


def _show(
    tuned: "Tuned",
    found: dict[str, Any],
    more: list[tuple[str, str]],
    as_json: bool,
) -> None:
    """Print what was found: the perplexity of each line, then more rows."""
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    losses = tuned.record["losses"]
    rows = [("plain", figure(math.exp(losses["static"])))]
    rows += [
        (f"+ {TITLES[line.name]}", figure(math.exp(losses[line.name])))
        for line in tuned.lines
    ]
    click.echo("Perplexity on the validation text, as far as it was read:", err=True)
    click.echo(table(rows + more))
