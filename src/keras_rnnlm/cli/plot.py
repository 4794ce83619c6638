"""`rnnlm plot`: pictures of runs, comparisons and searches."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_rnnlm.cli.base import Verb
from keras_rnnlm.cli.imports import import_option
from keras_rnnlm.errors import InputError

if TYPE_CHECKING:
    from keras_rnnlm.language_model import LanguageModel
    from keras_rnnlm.pictures.classes import Class

KINDS = ("curves", "time", "frequency", "position")
OF_TEXT = ("frequency", "position")


@click.command(cls=Verb, short_help="Draw pictures of runs.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(KINDS),
    help="What to draw; may be repeated. By default curves and time, and with --text "
    "frequency and position.",
)
@click.option(
    "--text",
    "texts",
    multiple=True,
    type=click.Path(),
    help="Text to score, for frequency and position; may be repeated.",
)
@click.option(
    "--counts",
    multiple=True,
    type=click.Path(),
    help="Text in which frequencies are counted, best the training text; --text itself "
    "by default.",
)
@click.option("--encoding", default="utf-8", show_default=True, help="Of the texts.")
@click.option(
    "--protocol", help="State protocol of the scores; that of the model by default."
)
@click.option(
    "--out",
    type=click.Path(),
    default=".",
    show_default="this folder",
    help="Folder for the pictures: curves.png, time.png, frequency.png, position.png.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the figures of frequency and position as one JSON object.",
)
@import_option
def plot(**options: Any) -> None:
    """Draw pictures of RUN... (folders of `rnnlm train`, `compare` or `tune`).

    An ensemble, as `rnnlm train --members` writes it, stands for its members.

    curves: training and validation over the tokens seen; time: validation perplexity
    over seconds; frequency and position: perplexity on --text by how frequent a token
    is, and by its place in a line.
    """
    kinds = options["kinds"] or (OF_TEXT if options["texts"] else KINDS[:2])
    if set(kinds) & set(OF_TEXT) and not options["texts"]:
        raise click.UsageError(
            f"--kind {next(k for k in kinds if k in OF_TEXT)} scores a text: give "
            "--text FILE.",
            click.get_current_context(),
        )
    out = Path(options["out"])
    runs = [Path(run) for run in options["runs"]]
    out.mkdir(parents=True, exist_ok=True)
    notes: list[str | None] = []
    figures: dict[str, Any] = {}
    if "curves" in kinds:
        notes.append(_curves(runs, out / "curves.png"))
    if "time" in kinds:
        notes.append(_times(runs, out / "time.png"))
    if set(kinds) & set(OF_TEXT):
        figures, found = _classes(runs, kinds, options, out)
        notes += found
    if options["as_json"]:
        click.echo(json.dumps(figures, ensure_ascii=False))
    for note in dict.fromkeys(notes):
        if note is not None:
            click.echo(note, err=True)
    names = ", ".join(f"{kind}.png" for kind in KINDS if kind in kinds)
    click.echo(f"{names}: in {out}", err=True)


def _curves(runs: Sequence[Path], path: Path) -> str | None:
    from keras_rnnlm.fonts import fonts_for
    from keras_rnnlm.pictures.curves import curves_plot
    from keras_rnnlm.pictures.runs import read_runs

    found = read_runs(runs)
    fonts = fonts_for(run.name for run in found)
    with fonts.used():
        curves_plot(found, path, fonts)
    return fonts.note


def _times(runs: Sequence[Path], path: Path) -> str | None:
    from keras_rnnlm.fonts import fonts_for
    from keras_rnnlm.pictures.runs import time_series
    from keras_rnnlm.pictures.times import times_plot

    series = time_series(runs)
    fonts = fonts_for(each.name for each in series)
    with fonts.used():
        times_plot(series, path, fonts)
    return fonts.note


def _classes(
    runs: Sequence[Path], kinds: Sequence[str], options: dict[str, Any], out: Path
) -> tuple[dict[str, Any], list[str | None]]:
    """Score the texts with each model, once for both pictures, and draw them."""
    from keras_rnnlm.fonts import fonts_for
    from keras_rnnlm.language_model import UNITS, load
    from keras_rnnlm.pictures.class_plots import classes_plot, texts_of
    from keras_rnnlm.pictures.runs import different_names, with_members

    frequency: dict[str, Sequence[Class]] = {}
    position: dict[str, Sequence[Class]] = {}
    unit, runs = "", with_members(runs)
    for name, run in zip(different_names(runs), runs, strict=True):
        model = load(run)
        own = UNITS[model.tokenizer.kind]
        if unit not in ("", own):
            raise InputError(
                f"Expected models of {unit}s alone: frequency and position have one "
                f"axis for all. Received '{run}', a model of {own}s. Draw it by "
                "itself, with another --out."
            )
        unit = own
        frequency[name], position[name] = _scored(model, options)
    text = ", ".join(Path(each).name for each in options["texts"])
    counted = (
        ", ".join(Path(each).name for each in options["counts"])
        if options["counts"]
        else "this text"
    )
    pictures = {
        "frequency": (
            frequency,
            f"Perplexity on {text} by frequency",
            f"times that the {unit} stands in {counted}, with examples",
        ),
        "position": (
            position,
            f"Perplexity on {text} by position",
            f"place of the {unit} in its line",
        ),
    }
    figures: dict[str, Any] = {}
    notes: list[str | None] = []
    for kind, (models, title, label) in pictures.items():
        if kind not in kinds:
            continue
        fonts = fonts_for([title, label, *texts_of(models)])
        with fonts.used():
            classes_plot(
                models,
                out / f"{kind}.png",
                fonts,
                title=title,
                label=label,
                unit=unit,
            )
        notes.append(fonts.note)
        figures[kind] = {
            name: [each.to_dict() for each in classes]
            for name, classes in models.items()
        }
    return figures, notes


def _scored(
    model: "LanguageModel", options: dict[str, Any]
) -> tuple[list["Class"], list["Class"]]:
    """Return the classes of a model by frequency and by position."""
    from keras_rnnlm.cli.progress import reading
    from keras_rnnlm.data.store import encode_files
    from keras_rnnlm.data.text import find_files
    from keras_rnnlm.pictures.classes import (
        by_frequency,
        by_position,
        counts_of,
        losses_of,
    )

    def encoded(files: Sequence[str]) -> Any:
        return encode_files(find_files(files, options["encoding"]), model.tokenizer)

    text = encoded(options["texts"])
    with reading("scoring") as progress:
        positions, nats = losses_of(model, text, options["protocol"], progress)
    counted = encoded(options["counts"]) if options["counts"] else text
    tokenizer = model.tokenizer
    frequency = by_frequency(
        text.ids[positions],
        nats,
        counts_of(counted, tokenizer.vocabulary_size),
        tokenizer.tokens,
    )
    return frequency, by_position(positions, nats, text)
