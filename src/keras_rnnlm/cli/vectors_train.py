"""`rnnlm vectors train`: word vectors of one's own text."""

import time

import click

from keras_rnnlm.cli.base import Verb
from keras_rnnlm.cli.outputs import check_file
from keras_rnnlm.cli.vector_options import (
    encoding_option,
    format_option,
    json_option,
    say,
    segmenter_option,
)
from keras_rnnlm.cli.wording import count

# As `data.vector_training` has them: `--help` does not import it.
ALGORITHMS = ("word2vec", "fasttext")
ARCHITECTURES = ("skip-gram", "cbow")


@click.command(cls=Verb, short_help="Train word vectors on a text (needs gensim).")
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--out", metavar="FILE", required=True, type=click.Path(), help="Write them here."
)
@click.option(
    "--dimensions",
    type=click.IntRange(1, 65536),
    default=100,
    show_default=True,
    help="Numbers of each vector.",
)
@click.option(
    "--window",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Most words between a word and those it is trained on.",
)
@click.option(
    "--minimum-count",
    "--min-count",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Rarer words get no vector.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Passes over the text.",
)
@click.option(
    "--algorithm",
    type=click.Choice(ALGORITHMS),
    default="word2vec",
    show_default=True,
    help="fasttext also learns from the parts of words.",
)
@click.option(
    "--architecture",
    type=click.Choice(ARCHITECTURES),
    default="skip-gram",
    show_default=True,
    help="skip-gram predicts the words around a word; cbow the word from those around "
    "it.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Of the first vectors and of all that is drawn.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Threads. With more than one a seed no longer settles the result.",
)
@encoding_option
@click.option(
    "--tokenizer",
    type=click.Choice(("word", "char")),
    default="word",
    show_default=True,
    help="What gets vectors.",
)
@segmenter_option
@format_option
@json_option
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
    check_file("--out", out)
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
    say(found, rows, as_json)
