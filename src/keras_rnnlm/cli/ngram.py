"""`rnnlm ngram`: an n-gram model of one's own text, as an ARPA file and in figures."""

import json
import time
from typing import TYPE_CHECKING, Any

import click

from keras_rnnlm.cli.base import Verb
from keras_rnnlm.cli.imports import import_option
from keras_rnnlm.cli.outputs import check_file
from keras_rnnlm.cli.train import TOKENIZERS
from keras_rnnlm.cli.wording import count, table

if TYPE_CHECKING:
    from keras_rnnlm.data.tokenizers import Tokenizer
    from keras_rnnlm.scoring.ngram import NGramModel

PARTS = ("valid", "test")
# What `--model` settles by itself.
VOCABULARY = ("tokenizer", "segmenter", "vocabulary_size", "minimum_count")


@click.command(cls=Verb, short_help="Count n-grams: the baseline; an ARPA file.")
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--order",
    type=click.IntRange(min=1),
    help="Length of the longest n-grams; 5, for characters 7, by default.",
)
@click.option("--arpa", metavar="FILE", type=click.Path(), help="Write the model here.")
@click.option(
    "--valid", multiple=True, type=click.Path(), help="Text to measure on; repeatable."
)
@click.option(
    "--test", multiple=True, type=click.Path(), help="Text to measure on; repeatable."
)
@click.option("--encoding", default="utf-8", show_default=True, help="Of the texts.")
@click.option(
    "--model",
    metavar="MODEL",
    type=click.Path(),
    help="Count the tokens of a trained model, for `rnnlm evaluate MODEL --ngram`.",
)
@click.option(
    "--tokenizer",
    type=click.Choice(TOKENIZERS),
    help="What to count. Chosen from the text by default.",
)
@click.option(
    "--segmenter",
    type=click.Choice(("jieba",)),
    help="Finds the words of a text without spaces (pip install 'keras-rnnlm[jieba]').",
)
@click.option(
    "--vocabulary-size",
    type=click.IntRange(min=2),
    help="Most tokens in the vocabulary.",
)
@click.option(
    "--minimum-count", type=click.IntRange(min=1), help="Rarer words become <unk>."
)
@click.option(
    "--contexts",
    type=click.Choice(("sentence", "stream")),
    help="Whether a line begins without a context, or with the end of the line before "
    "it. `stream` for characters, `sentence` for all else by default.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@import_option
@click.pass_context
def ngram(context: click.Context, /, **options: Any) -> None:
    """Estimate an n-gram model on TEXT... (files, folders, or - for stdin).

    Modified Kneser-Ney smoothing, as KenLM's lmplz does it. The whole of TEXT is
    counted: give other text to --valid and --test.
    """
    if options["model"] is not None:
        for name in VOCABULARY:
            if options[name] is not None:
                raise click.UsageError(
                    f"--model counts the tokens that MODEL has; leave "
                    f"--{name.replace('_', '-')} out.",
                    context,
                )
    check_file("--arpa", options["arpa"])
    from keras_rnnlm.cli.progress import reading
    from keras_rnnlm.data.store import encode_files
    from keras_rnnlm.data.text import find_files
    from keras_rnnlm.scoring.additions import default_order
    from keras_rnnlm.scoring.ngram import NGramModel

    begun = time.perf_counter()
    given = {"train": find_files(list(options["texts"]), options["encoding"])}
    for part in PARTS:
        if options[part]:
            given[part] = find_files(list(options[part]), options["encoding"])
    with reading("encoding") as progress:
        tokenizer = _tokenizer(given["train"], options)
        texts = {
            part: encode_files(files, tokenizer, progress=progress)
            for part, files in given.items()
        }
    counted = time.perf_counter()
    model = NGramModel.fit(
        texts["train"],
        tokenizer.vocabulary_size,
        options["order"] or default_order(tokenizer.kind),
        contexts=options["contexts"] or "auto",
    )
    estimated = time.perf_counter()
    if options["arpa"] is not None:
        model.write_arpa(options["arpa"], tokenizer)
    written = time.perf_counter()
    found = _described(model, tokenizer)
    for part in PARTS:
        if part in texts:
            found[part] = _figures(model, texts[part])
    found["seconds"] = {
        "reading": counted - begun,
        "estimating": estimated - counted,
        "writing": written - estimated,
        "all": time.perf_counter() - begun,
    }
    if options["as_json"]:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        click.echo(table(_rows(found, options["arpa"])))


def _tokenizer(files: list[Any], options: dict[str, Any]) -> "Tokenizer":
    """Return the tokenizer of `--model`, or one trained on the text."""
    if options["model"] is not None:
        from keras_rnnlm.language_model import load

        return load(options["model"]).tokenizer
    from keras_rnnlm.data.tokenizers import train_tokenizer

    return train_tokenizer(
        files,
        options["tokenizer"] or "auto",
        options["vocabulary_size"],
        options["minimum_count"] or 1,
        segmenter=options["segmenter"],
    )


def _described(model: "NGramModel", tokenizer: "Tokenizer") -> dict[str, Any]:
    from keras_rnnlm.language_model import UNITS

    return {
        "order": model.order,
        "contexts": "stream" if model.sentence_end is None else "sentence",
        "token": UNITS[tokenizer.kind],
        "vocabulary_size": model.vocabulary_size,
        "ngrams": [len(table) for table in model.tables],
        "discounts": model.discounts,
        "fallback": model.fallback,
    }


def _figures(model: "NGramModel", text: Any) -> dict[str, Any]:
    from keras_rnnlm.scoring.report import figures_of, finite

    begun = time.perf_counter()
    figures = figures_of(model.totals(text), text)
    return {**finite(figures), "seconds": time.perf_counter() - begun}


def _rows(found: dict[str, Any], arpa: str | None) -> list[tuple[str, str]]:
    unit, seconds = found["token"], found["seconds"]
    behind = {
        "stream": "the context runs on through line ends",
        "sentence": "each line begins without a context",
    }
    rows = [
        (
            "n-gram model",
            f"order {found['order']}, {unit}s; {behind[found['contexts']]}",
        ),
        ("vocabulary", count(found["vocabulary_size"])),
        ("n-grams", " + ".join(map(count, found["ngrams"]))),
    ]
    given = [str(n) for n, used in enumerate(found["fallback"], 1) if used]
    if given:
        rows.append(
            (
                "discounts",
                f"0.5, 1 and 1.5 for length {', '.join(given)}: too few rare n-grams",
            )
        )
    for part in PARTS:
        if part in found:
            figures = found[part]
            oov = figures["oov"]
            unknown = f", {count(oov)} of them out of vocabulary" if oov else ""
            rows.append(
                (
                    f"{part} perplexity",
                    f"{_perplexity(figures['perplexity'])} per {unit}, "
                    f"loss {figures['loss']:.4f} nats "
                    f"({count(figures['tokens'])} predicted{unknown})",
                )
            )
    rows.append(
        (
            "time",
            f"reading {seconds['reading']:.1f} s, "
            f"estimating {seconds['estimating']:.1f} s, all {seconds['all']:.1f} s",
        )
    )
    if arpa is not None:
        rows.append(("ARPA file", f"{arpa} (written in {seconds['writing']:.1f} s)"))
    return rows


def _perplexity(value: float | None) -> str:
    """Return a perplexity with two decimals; none where no float can hold it."""
    return "too large for a number" if value is None else f"{value:,.2f}"
