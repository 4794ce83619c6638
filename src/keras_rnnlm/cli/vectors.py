"""`rnnlm vectors`: word vectors trained, looked at, and written for other tools."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_rnnlm.cli.base import Verbs
from keras_rnnlm.cli.imports import import_option
from keras_rnnlm.cli.wording import count, size, table
from keras_rnnlm.errors import InputError

if TYPE_CHECKING:
    from keras_rnnlm.data.tokenizers import Tokenizer
    from keras_rnnlm.data.vector_coverage import Coverage
    from keras_rnnlm.data.vector_neighbours import Neighbours

# As `data.vector_training` and `data.vector_words` have them: `--help` imports neither.
ALGORITHMS = ("word2vec", "fasttext")
ARCHITECTURES = ("skip-gram", "cbow")
CASES = ("exact", "lower", "any")
FORMATS = ("text", "binary")


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


def _spelling_options(command: Any) -> Any:
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


_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object."
)
_encoding_option = click.option(
    "--encoding", default="utf-8", show_default=True, help="Of the texts."
)
_format_option = click.option(
    "--format",
    type=click.Choice(FORMATS),
    help="Of word2vec. By the name by default: binary for .bin, else text; .gz "
    "compresses.",
)
_segmenter_option = click.option(
    "--segmenter",
    type=click.Choice(("jieba",)),
    help="Finds the words of a text without spaces (pip install 'keras-rnnlm[jieba]').",
)


@vectors.command(short_help="Train word vectors on a text (needs gensim).")
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--out", metavar="FILE", required=True, type=click.Path(), help="Write them here."
)
@click.option("--dimensions", type=click.IntRange(1, 65536), default=100)
@click.option(
    "--window",
    type=click.IntRange(min=1),
    default=5,
    help="Most words between a word and those it is trained on.",
)
@click.option(
    "--minimum-count",
    "--min-count",
    type=click.IntRange(min=1),
    default=5,
    help="Rarer words get no vector.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=5)
@click.option("--algorithm", type=click.Choice(ALGORITHMS), default="word2vec")
@click.option("--architecture", type=click.Choice(ARCHITECTURES), default="skip-gram")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    help="Threads. With more than one a seed no longer settles the result.",
)
@_encoding_option
@click.option(
    "--tokenizer",
    type=click.Choice(("word", "char")),
    default="word",
    help="What gets vectors.",
)
@_segmenter_option
@_format_option
@_json_option
def train(
    texts: tuple[str, ...],
    out: str,
    dimensions: int,
    window: int,
    minimum_count: int,
    epochs: int,
    algorithm: str,
    architecture: str,
    seed: int,
    workers: int,
    encoding: str,
    tokenizer: str,
    segmenter: str | None,
    format: str | None,
    as_json: bool,
) -> None:
    """Train vectors for the words of TEXT... (files, folders, or - for stdin).

    A line is a sentence; its end, <eos>, gets a vector too. Needs gensim: pip install
    'keras-rnnlm[vectors]'.
    """
    from keras_rnnlm.cli.progress import reading
    from keras_rnnlm.data.text import find_files
    from keras_rnnlm.data.vector_training import train_vectors
    from keras_rnnlm.data.vector_writer import format_of, write_vectors

    begun = time.perf_counter()
    _check_folder(out)
    files = find_files(list(texts), encoding)
    with reading("training") as progress:
        trained = train_vectors(
            files,
            algorithm=algorithm,
            architecture=architecture,
            dimensions=dimensions,
            window=window,
            minimum_count=minimum_count,
            epochs=epochs,
            seed=seed,
            workers=workers,
            tokenizer=tokenizer,
            segmenter=segmenter,
            progress=progress,
        )
    format = format or format_of(out)
    write_vectors(out, trained.words, trained.matrix, format)
    found = {
        "file": out,
        "format": format,
        "words": len(trained.words),
        "width": dimensions,
        "tokens": trained.tokens,
        "algorithm": algorithm,
        "architecture": architecture,
        "epochs": epochs,
        "seed": seed,
        "workers": workers,
        "seconds": time.perf_counter() - begun,
    }
    rows = [
        ("vectors", f"{count(len(trained.words))} words, {dimensions} numbers each"),
        ("text", f"{count(trained.tokens)} words and line ends"),
        ("algorithm", f"{algorithm}, {architecture}, {epochs} epochs"),
        ("file", f"{out} ({format})"),
        ("time", f"{found['seconds']:.1f} s"),
    ]
    _say(found, rows, as_json)


@vectors.command(short_help="Say how much of a text or a model has a vector.")
@click.argument("file", metavar="VECTORS", type=click.Path())
@click.argument(
    "sources", metavar="TEXT...|MODEL", nargs=-1, required=True, type=click.Path()
)
@_spelling_options
@_encoding_option
@click.option(
    "--tokenizer",
    type=click.Choice(("word", "char")),
    default="word",
    show_default=True,
    help="What of TEXT to look for.",
)
@_segmenter_option
@click.option(
    "--vocabulary-size", type=click.IntRange(min=2), help="Most words of TEXT."
)
@click.option(
    "--minimum-count",
    type=click.IntRange(min=1),
    default=1,
    help="Leave rarer words of TEXT out.",
)
@click.option(
    "--missing",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="How many of the most frequent words without a vector to show.",
)
@_json_option
@import_option
def coverage(
    file: str, sources: tuple[str, ...], missing: int, as_json: bool, **options: Any
) -> None:
    """Say how much of TEXT... (files, folders) or of MODEL the file VECTORS covers.

    Shown are different words (types), words as often as they come (tokens), and the
    most frequent ones without a vector. Of MODEL only its vocabulary is known: add a
    TEXT behind it to count its tokens there.
    """
    from keras_rnnlm.cli.progress import reading
    from keras_rnnlm.data.vector_coverage import coverage_of
    from keras_rnnlm.data.vector_files import VectorFile
    from keras_rnnlm.data.vectors import read_vectors

    begun = time.perf_counter()
    opened = VectorFile(file)
    tokenizer, counts = _vocabulary(sources, options)
    before = time.perf_counter()
    with reading("vectors") as progress:
        found = read_vectors(
            opened,
            tokenizer,
            case=options["case"],
            normalize=_names(options["normalize"]),
            progress=progress,
        )
    seconds = time.perf_counter() - before
    covered = coverage_of(found, tokenizer, counts, missing)
    figures = {
        **covered.to_dict(),
        "bytes": opened.path.stat().st_size,
        "seconds": {"reading": seconds, "all": time.perf_counter() - begun},
    }
    _say(figures, _coverage_rows(covered, figures), as_json)


@vectors.command(short_help="Show the words nearest to some.")
@click.argument("source", metavar="VECTORS|MODEL", type=click.Path())
@click.argument("words", metavar="WORD...", nargs=-1, required=True)
@click.option("-k", "k", type=click.IntRange(min=1), default=10, show_default=True)
@_spelling_options
@click.option(
    "--first",
    type=click.IntRange(min=1),
    help="Look among the first so many words of VECTORS alone, the most frequent in "
    "most files.",
)
@_json_option
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

    if Path(source).is_dir():
        from keras_rnnlm.language_model import load

        model = load(source)
        tokens, matrix = model.tokenizer.tokens, model.vectors()
        found = neighbours_in_matrix(tokens, matrix, words, k)
    else:
        from keras_rnnlm.cli.progress import reading
        from keras_rnnlm.data.vector_files import VectorFile
        from keras_rnnlm.data.vectors import check_spellings

        names = _names(normalize)
        check_spellings(case, names)
        with reading("vectors") as progress:
            found = neighbours_in_file(
                VectorFile(source),
                words,
                k,
                case=case,
                normalize=names,
                first=first,
                progress=progress,
            )
    _say_neighbours(found, as_json)


@vectors.command(short_help="Write a model's word vectors for other tools.")
@click.argument("model", type=click.Path())
@click.option(
    "--out", metavar="FILE", required=True, type=click.Path(), help="Write them here."
)
@_format_option
@click.option(
    "--output-layer",
    is_flag=True,
    help="Those that predict words, not those that are read; with tied weights they "
    "are the same.",
)
@_json_option
@import_option
def write(
    model: str, out: str, format: str | None, output_layer: bool, as_json: bool
) -> None:
    """Write the word vectors of MODEL in word2vec's format.

    A space in a token is written as in sub-word models, ▁; see docs/vectors.md.
    """
    from keras_rnnlm.data.vector_writer import format_of
    from keras_rnnlm.language_model import load

    _check_folder(out)
    loaded = load(model)
    format = format or format_of(out)
    loaded.write_vectors(out, format, output_layer=output_layer)
    words, width = loaded.vectors(output_layer).shape
    found = {"file": out, "format": format, "words": words, "width": width}
    rows = [
        ("vectors", f"{count(words)} words, {width} numbers each"),
        ("file", f"{out} ({format}, {size(Path(out).stat().st_size)} bytes)"),
    ]
    _say(found, rows, as_json)


def _vocabulary(
    sources: tuple[str, ...], options: dict[str, Any]
) -> tuple["Tokenizer", Any]:
    """Return the tokenizer of a model or a text, and how often its tokens come."""
    from keras_rnnlm.cli.progress import reading
    from keras_rnnlm.data.store import encode_files
    from keras_rnnlm.data.text import find_files
    from keras_rnnlm.data.tokenizers import train_tokenizer
    from keras_rnnlm.data.vocabulary import token_counts

    texts = list(sources)
    tokenizer = None
    if (Path(texts[0]) / "tokenizer.json").is_file():
        from keras_rnnlm.models.folder import load_folder

        tokenizer = load_folder(texts.pop(0))[1]
        if not texts:
            return tokenizer, None
    files = find_files(texts, options["encoding"])
    with reading("encoding") as progress:
        if tokenizer is None:
            tokenizer = train_tokenizer(
                files,
                options["tokenizer"],
                options["vocabulary_size"],
                options["minimum_count"],
                segmenter=options["segmenter"],
            )
        text = encode_files(files, tokenizer, progress=progress)
    return tokenizer, token_counts(text.ids, tokenizer.vocabulary_size)


def _coverage_rows(found: "Coverage", figures: dict[str, Any]) -> list[tuple[str, str]]:
    others = [
        f"{count(number)} {how}"
        for number, how in (
            (found.case, "in another case"),
            (found.normalized, "normalised"),
        )
        if number
    ]
    how = f" ({', '.join(others)})" if others else ""
    rows = [
        (
            "vectors",
            f"{found.file}: {count(found.words)} words, {found.width} numbers each",
        ),
        (
            "types",
            f"{count(found.types_found)} of {count(found.types)}, "
            f"{found.types_found / found.types:.1%}{how}",
        ),
    ]
    if found.tokens:
        covered = found.tokens_found or 0
        rows.append(
            (
                "tokens",
                f"{count(covered)} of {count(found.tokens)}, "
                f"{covered / found.tokens:.1%}",
            )
        )
    if found.missing:
        named = [
            word if number is None else f"{word} ({count(number)})"
            for word, number in found.missing
        ]
        rows.append(("without", ", ".join(named)))
    if found.duplicates:
        rows.append(("twice", f"{count(found.duplicates)} entries; the first counts"))
    if found.not_utf8:
        rows.append(("not UTF-8", f"{count(found.not_utf8)} words, left out"))
    speed = figures["bytes"] / max(figures["seconds"]["reading"], 1e-9)
    rows.append(
        (
            "time",
            f"{figures['seconds']['reading']:.1f} s for {size(figures['bytes'])} bytes "
            f"({speed / 1e6:,.0f} MB/s)",
        )
    )
    return rows


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


def _say(found: dict[str, Any], rows: list[tuple[str, str]], as_json: bool) -> None:
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else table(rows))


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",")) if text else ()


def _check_folder(out: str) -> None:
    """Say before the work that there is nowhere to put its result."""
    if Path(out).is_dir() or not Path(out).absolute().parent.is_dir():
        raise InputError(
            f"--out expected the name of a file in a folder that exists, received "
            f"'{out}'."
        )
