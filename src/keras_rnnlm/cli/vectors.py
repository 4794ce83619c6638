"""`rnnlm vectors`: word vectors trained, looked at, and written for other tools."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_rnnlm.cli.base import Verbs
from keras_rnnlm.cli.imports import import_option
from keras_rnnlm.cli.outputs import check_file
from keras_rnnlm.cli.vector_options import (
    format_option,
    json_option,
    names,
    say,
    spelling_options,
)
from keras_rnnlm.cli.vectors_coverage import coverage
from keras_rnnlm.cli.vectors_train import train
from keras_rnnlm.cli.wording import count, size
from keras_rnnlm.errors import ConfigError

if TYPE_CHECKING:
    from keras_rnnlm.data.vector_neighbours import Neighbours


@click.group(
    cls=Verbs,
    invoke_without_command=True,
    short_help="Pretrained word vectors: train, coverage, nearest, write.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.pass_context
def vectors(context: click.Context) -> None:
    """Word vectors of other texts, for models of one's own.

    Files are word2vec's text and binary format, GloVe's text and fastText's .vec, plain
    or compressed by gzip. Train with them: `rnnlm train TEXT --set vectors=FILE`.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


vectors.add_command(train)
vectors.add_command(coverage)


@vectors.command(short_help="Show the words nearest to some.")
@click.argument("source", metavar="VECTORS|MODEL", type=click.Path())
@click.argument("words", metavar="WORD...", nargs=-1, required=True)
@click.option(
    "-k",
    "k",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="How many near words to show for each WORD.",
)
@spelling_options
@click.option(
    "--first",
    type=click.IntRange(min=1),
    help="Look among the first so many words of VECTORS alone, the most frequent in "
    "most files.",
)
@json_option
@import_option
def nearest(
    source: str,
    words: tuple[str, ...],
    k: int,
    case: str,
    normalize: str | None,
    first: int | None,
    as_json: bool,
) -> None:
    """Show the words of a file VECTORS or of MODEL whose vectors point as WORD's does.

    Figures are cosines. A file is read twice, in little memory.
    """
    from keras_rnnlm.data.vector_neighbours import (
        neighbours_in_file,
        neighbours_in_matrix,
    )
    from keras_rnnlm.data.vectors import check_spellings

    steps = names(normalize)
    check_spellings(case, steps)
    if Path(source).is_dir():
        if first is not None:
            raise ConfigError(
                "--first is about a file of vectors, the most frequent words of which "
                f"stand first; received the model '{source}'. Leave it out."
            )
        from keras_rnnlm.language_model import load

        model = load(source)
        tokens, matrix = model.tokenizer.tokens, model.vectors()
        found = neighbours_in_matrix(
            tokens, matrix, words, k, case=case, normalize=steps
        )
    else:
        from keras_rnnlm.cli.progress import reading
        from keras_rnnlm.data.vector_files import VectorFile

        with reading("vectors") as progress:
            found = neighbours_in_file(
                VectorFile(source),
                words,
                k,
                case=case,
                normalize=steps,
                first=first,
                progress=progress,
            )
    _say_neighbours(found, as_json)


@vectors.command(short_help="Write a model's word vectors for other tools.")
@click.argument("model", type=click.Path())
@click.option(
    "--out", metavar="FILE", required=True, type=click.Path(), help="Write them here."
)
@format_option
@click.option(
    "--output-layer",
    is_flag=True,
    help="Those that predict words, not those that are read; with tied weights they "
    "are the same.",
)
@json_option
@import_option
def write(
    model: str, out: str, format: str | None, output_layer: bool, as_json: bool
) -> None:
    """Write the word vectors of MODEL in word2vec's format.

    A space in a token is written as in sub-word models, ▁; see docs/vectors.md.
    """
    from keras_rnnlm.data.vector_writer import format_of
    from keras_rnnlm.language_model import load

    check_file("--out", out)
    loaded = load(model)
    format = format or format_of(out)
    loaded.write_vectors(out, format, output_layer=output_layer)
    words, width = loaded.vectors(output_layer).shape
    found = {"file": out, "format": format, "words": words, "width": width}
    rows = [
        ("vectors", f"{count(words)} words, {width} numbers each"),
        ("file", f"{out} ({format}, {size(Path(out).stat().st_size)} bytes)"),
    ]
    say(found, rows, as_json)


def _say_neighbours(found: list["Neighbours"], as_json: bool) -> None:
    if as_json:
        listed = [{"word": each.word, "near": each.near} for each in found]
        click.echo(json.dumps({"words": listed}, ensure_ascii=False))
        return
    for number, each in enumerate(found):
        if len(found) > 1:
            click.echo(f"{'' if number == 0 else chr(10)}{each.word}")
        for word, cosine in each.near:
            click.echo(f"{cosine:7.4f}  {word}")
