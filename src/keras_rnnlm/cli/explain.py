"""`rnnlm explain`: a page that shows why a model says what it says of a text."""

import json
from pathlib import Path
from typing import Any

import click

from keras_rnnlm.cli.additions import working
from keras_rnnlm.cli.base import Verb
from keras_rnnlm.cli.imports import import_option


@click.command(cls=Verb, short_help="Show why a model says what it says of a text.")
@click.argument("model", type=click.Path())
@click.argument("text", type=click.Path())
@click.option(
    "--out",
    required=True,
    type=click.Path(),
    help="The page to write, which ends in .html; or .json for its figures alone.",
)
@click.option("--png", is_flag=True, help="Write pictures beside it.")
@click.option(
    "--tokens",
    type=click.IntRange(min=1),
    help="How many are shown one by one, up to 2000: 200 by default.",
)
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    help="On how many probes, memory and calibration are measured: 10,000 by default.",
)
@click.option(
    "--reach",
    type=click.IntRange(min=1),
    help="How many tokens back a prediction is attributed: 16 by default.",
)
@click.option(
    "--baseline",
    type=click.Choice(["mean", "zero", "unk"]),
    help="What stands for no token: the mean of the text's word vectors (by default), "
    "zeros, or <unk>.",
)
@click.option(
    "--cache",
    is_flag=True,
    help="Show where a continuous cache would look, though none was tuned.",
)
@click.option("--encoding", default="utf-8", show_default=True, help="Of the text.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@import_option
def explain(
    model: str,
    text: str,
    out: str,
    png: bool,
    tokens: int | None,
    sample: int | None,
    reach: int | None,
    baseline: str | None,
    cache: bool,
    encoding: str,
    as_json: bool,
) -> None:
    """Show why MODEL says what it says of TEXT (a file, or - for stdin).

    The page opens without a network: surprisal and alternatives of each token, the
    tokens that a prediction rests on, gates and state, units that track something,
    effective memory, calibration, attention.
    """
    from keras_rnnlm.data.text import find_files
    from keras_rnnlm.explanation import explain as explaining
    from keras_rnnlm.explanation.reading import characters_of
    from keras_rnnlm.explanation.result import check_path
    from keras_rnnlm.fonts import fonts_for
    from keras_rnnlm.language_model import load
    from keras_rnnlm.program_cache import keep_programs
    from keras_rnnlm.scoring.cache import CacheSettings

    path = Path(out)
    check_path(path)
    given = {
        "tokens": tokens,
        "sample": sample,
        "reach": reach,
        "baseline": baseline,
    }
    options: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
    files = find_files([text], encoding)
    measured = max(sample or explaining.SAMPLE, tokens or explaining.TOKENS)
    keep_programs()
    lm = load(model)
    known = lm.tuned is not None and any(line.cache for line in lm.tuned.lines)
    if cache and not known:
        options["cache"] = CacheSettings()
    with working("explaining") as progress:
        found = explaining.explain(
            lm,
            _beginning(files, characters_of(measured) + 1),
            name=Path(model).name,
            text_name=Path(text).name if text != "-" else "standard input",
            progress=progress,
            **options,
        )
    written = found.save(path, png)
    if as_json:
        click.echo(json.dumps(found.to_json(), ensure_ascii=False))
    else:
        click.echo(str(found))
    if png:
        pieces = [found.text["before"], *found.surprisal.pieces]
        if note := fonts_for(pieces).note:
            click.echo(note, err=True)
    click.echo("Wrote " + ", ".join(map(str, written)) + ".", err=True)


def _beginning(files: Any, characters: int) -> str:
    """Read no more of some files than is needed."""
    parts: list[str] = []
    left = characters
    for file in files:
        for block in file.blocks():
            parts.append(block[:left])
            left -= len(parts[-1])
            if left <= 0:
                return "".join(parts)
    return "".join(parts)
