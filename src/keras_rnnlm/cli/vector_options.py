"""What the verbs of `rnnlm vectors` share."""

import json
from typing import Any

import click

from keras_rnnlm.cli.wording import table

# As `data.vector_words` and `data.vector_writer` have them: `--help` imports neither.
CASES = ("exact", "lower", "any")
FORMATS = ("text", "binary")


def spelling_options(command: Any) -> Any:
    """Add --case and --normalize to a command."""
    command = click.option(
        "--normalize",
        metavar="A,B",
        help="Other spellings to look for, each going on from the one before: nfc, "
        "nfkc, accents, quotes, digits, zeros.",
    )(command)
    return click.option(
        "--case",
        type=click.Choice(CASES),
        default="exact",
        show_default=True,
        help="Whether a word may be found in another case.",
    )(command)


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object."
)
encoding_option = click.option(
    "--encoding", default="utf-8", show_default=True, help="Of the texts."
)
format_option = click.option(
    "--format",
    type=click.Choice(FORMATS),
    help="Of word2vec. By the name by default: binary for .bin, else text; .gz "
    "compresses.",
)
segmenter_option = click.option(
    "--segmenter",
    type=click.Choice(("jieba",)),
    help="Finds the words of a text without spaces (pip install 'keras-rnnlm[jieba]').",
)


def say(found: dict[str, Any], rows: list[tuple[str, str]], as_json: bool) -> None:
    """Print figures for a program or for people."""
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else table(rows))


def names(text: str | None) -> tuple[str, ...]:
    """Read names with commas between them."""
    return tuple(name.strip() for name in text.split(",")) if text else ()
