"""`rnnlm vectors coverage`: how much of a text or a model has a vector."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_rnnlm.cli.base import Verb
from keras_rnnlm.cli.imports import import_option
from keras_rnnlm.cli.vector_options import (
    encoding_option,
    json_option,
    names,
    say,
    segmenter_option,
    spelling_options,
)
from keras_rnnlm.cli.wording import count, size
from keras_rnnlm.errors import InputError

if TYPE_CHECKING:
    from keras_rnnlm.data.tokenizers import Tokenizer
    from keras_rnnlm.data.vector_coverage import Coverage


@click.command(cls=Verb, short_help="Say how much of a text or a model has a vector.")
@click.argument("file", metavar="VECTORS", type=click.Path())
@click.argument(
    "sources", metavar="TEXT...|MODEL", nargs=-1, required=True, type=click.Path()
)
@spelling_options
@encoding_option
@click.option(
    "--tokenizer",
    type=click.Choice(("word", "char")),
    default="word",
    show_default=True,
    help="What of TEXT to look for.",
)
@segmenter_option
@click.option(
    "--vocabulary-size", type=click.IntRange(min=2), help="Most words of TEXT."
)
@click.option(
    "--minimum-count",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Leave rarer words of TEXT out.",
)
@click.option(
    "--missing",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="How many of the most frequent words without a vector to show.",
)
@json_option
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
            normalize=names(options["normalize"]),
            progress=progress,
        )
    seconds = time.perf_counter() - before
    covered = coverage_of(found, tokenizer, counts, missing)
    figures = {
        **covered.to_dict(),
        "bytes": opened.path.stat().st_size,
        "seconds": {"reading": seconds, "all": time.perf_counter() - begun},
    }
    say(figures, _coverage_rows(covered, figures), as_json)


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
    for path in texts:
        _refuse_run(Path(path))
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


def _refuse_run(folder: Path) -> None:
    """Raise `InputError` for the folder of models or of a run: it holds no text."""
    from keras_rnnlm.files import CHECKPOINT
    from keras_rnnlm.models.ensemble_folder import is_ensemble, member_folders
    from keras_rnnlm.training.run_folder import LOG

    if is_ensemble(folder):
        received = "an ensemble of models"
        remedy = f"Give one of them, such as '{member_folders(folder)[0]}'."
    elif (folder / "tokenizer.json").is_file():
        received = "a model behind another text or model"
        remedy = "Give one model, before all texts."
    elif any((folder / name).is_file() for name in (CHECKPOINT, LOG)):
        received = "a run of training that has not finished"
        remedy = "Finish it with --resume, or give the files of its training text."
    else:
        return
    raise InputError(
        f"{folder}: expected a text, or one model, received {received}. {remedy}"
    )


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
