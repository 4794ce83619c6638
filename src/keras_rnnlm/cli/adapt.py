"""`rnnlm adapt`: a trained model goes on with a new text."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_rnnlm.cli.base import Duration, Verb, typed_command
from keras_rnnlm.cli.figures import short_row
from keras_rnnlm.cli.imports import import_option
from keras_rnnlm.cli.process import program, started_at
from keras_rnnlm.cli.train import (
    free_path,
    parse_split,
    resume_command,
    say_interrupted,
    stem,
)
from keras_rnnlm.cli.wording import figure, table

if TYPE_CHECKING:
    from keras_rnnlm.data.corpus import Corpus
    from keras_rnnlm.data.encoded_text import EncodedText
    from keras_rnnlm.data.tokenizers import Tokenizer
    from keras_rnnlm.training.run import TrainingResult


DEFAULT = "adapt"
"""The recipe; it makes as many passes as the text asks for, unless told."""


@click.command(cls=Verb, short_help="Let a model go on with a new text.")
@click.argument("model", type=click.Path())
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--valid",
    multiple=True,
    type=click.Path(),
    help="Validation text of the new kind; may be repeated. A held-out tail of TEXT by "
    "default, unless TEXT is too short.",
)
@click.option(
    "--test", multiple=True, type=click.Path(), help="Test text of the new kind."
)
@click.option(
    "--split",
    metavar="A,B[,C]",
    help="Shares of TEXT for training, validation and test.",
)
@click.option(
    "--old",
    multiple=True,
    type=click.Path(),
    help="Text that MODEL was trained on, of which a share is replayed.",
)
@click.option(
    "--old-valid",
    multiple=True,
    type=click.Path(),
    help="Text of the old kind, to see what is forgotten.",
)
@click.option(
    "--replay",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of the lanes that read --old; 0.5 where that is given.",
)
@click.option(
    "--decay",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Pull back to the weights MODEL has, a multiple of the learning rate.",
)
@click.option(
    "--layer-rate",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="Learning rate of a layer as a share of that of the layer above it.",
)
@click.option(
    "--unfreeze",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Share of the run in which layers begin to learn, from the output down.",
)
@click.option(
    "--low-rank",
    metavar="R",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Let recurrent layers learn a product of rank R beside their matrices.",
)
@click.option(
    "--new-words",
    metavar="N",
    type=click.IntRange(min=1),
    help="Add words (or characters) to the vocabulary that stand N times or more in "
    "TEXT.",
)
@click.option("--encoding", default="utf-8", show_default=True, help="Of the texts.")
@click.option(
    "--recipe",
    metavar="NAME|FILE",
    default=DEFAULT,
    show_default=True,
    help="How to train.",
)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one setting (docs/settings.md lists them); may be repeated.",
)
@click.option(
    "--minutes",
    type=Duration(),
    help="Time for all of it, from start to final figures.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Of order and dropout.")
@click.option(
    "--out", type=click.Path(), help="Folder for the new model; below runs/ by default."
)
@click.option("--resume", is_flag=True, help="Go on with the adaptation in --out.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@import_option
@click.pass_context
def adapt(
    context: click.Context, /, model: str, texts: tuple[str, ...], **options: Any
) -> int:
    """Let MODEL go on with TEXT... (files or folders), a line or a corpus of it.

    MODEL stays as it is; what comes of it is a new model in --out. Its perplexity on
    the new text is given before and after, with --old-valid on the old one too. A TEXT
    too short to hold anything out has it on the very text that was trained on.
    """
    from keras_rnnlm.config import parse_overrides
    from keras_rnnlm.training.adaptation import Adaptation, passes
    from keras_rnnlm.training.run_folder import refuse_existing

    if options["resume"] and options["out"] is None:
        raise click.UsageError("--resume needs --out, the folder of the run.", context)
    replay = options["replay"]
    if replay is None:
        replay = 0.5 if options["old"] else 0.0
    adaptation = Adaptation(
        replay=replay,
        **{
            name: options[name]
            for name in ("decay", "layer_rate", "unfreeze", "low_rank", "new_words")
        },
    )
    overrides = parse_overrides(options["sets"])
    for name in ("minutes", "seed"):
        if options[name] is not None:
            overrides[name] = options[name]
    split = parse_split(options["split"])
    name = f"{Path(model).name}-{stem(texts[0])}"
    out = Path(options["out"] or free_path(Path("runs") / name))
    if not options["resume"]:
        refuse_existing(out)

    from keras_rnnlm.cli.progress import make_reporter
    from keras_rnnlm.program_cache import keep_programs
    from keras_rnnlm.training.adapt import Base
    from keras_rnnlm.training.adapt import adapt as adapt_model

    keep_programs()
    base = Base.load(model)
    settings = base.settings(options["recipe"], overrides, replay=replay > 0)
    corpus = _corpus(texts, options, split, base.tokenizer)
    if options["recipe"] == DEFAULT and not {"epochs", "max_steps", "minutes"} & set(
        overrides
    ):
        counts = corpus.train.counts
        epochs = passes(settings, counts.tokens_predicted, counts.lines)
        settings = settings.replace(epochs=epochs)
    with make_reporter() as reporter:
        for sentence in corpus.notes:
            reporter.note(sentence)
        result = adapt_model(
            base,
            corpus,
            settings,
            out,
            adaptation,
            old=_encoded(options["old"], options, corpus.tokenizer),
            old_valid=_encoded(options["old_valid"], options, corpus.tokenizer),
            resume=options["resume"],
            reporter=reporter,
            started=started_at(),
            command=typed_command(context),
        )
    if result.interrupted is not None:
        return say_interrupted(result, resume_command(context, out))
    if options["as_json"]:
        click.echo(json.dumps(result.report, ensure_ascii=False))
    _say_adapted(result)
    return 0


def _corpus(
    texts: tuple[str, ...],
    options: dict[str, Any],
    split: tuple[float, ...] | None,
    tokenizer: "Tokenizer",
) -> "Corpus":
    from keras_rnnlm.cli.progress import reading
    from keras_rnnlm.data.corpus import Corpus

    with reading("encoding") as progress:
        return Corpus.from_files(
            texts,
            valid=options["valid"] or None,
            test=options["test"] or None,
            split=split,
            encoding=options["encoding"],
            tokenizer=tokenizer,
            new_words=options["new_words"],
            progress=progress,
        )


def _encoded(
    paths: tuple[str, ...], options: dict[str, Any], tokenizer: "Tokenizer"
) -> "EncodedText | None":
    from keras_rnnlm.data.store import encode_files
    from keras_rnnlm.data.text import find_files

    if not paths:
        return None
    return encode_files(find_files(paths, options["encoding"]), tokenizer)


def _say_adapted(result: "TrainingResult") -> None:
    report = result.report
    found = report["adaptation"]
    rows: list[tuple[str, str]] = []
    pairs = [
        (name, found["before"].get(name), report.get(name))
        for name in ("valid", "test")
    ]
    pairs.append(("old", found["old_before"], found["old_after"]))
    own = found.get("train_text_after")  # reports of older versions have none
    pairs.append(("training text", found.get("train_text_before"), own))
    for name, before, after in pairs:
        if before and after:
            what, text = short_row(name, after)
            rows.append((what, f"{text}, before {figure(before['perplexity'])}"))
    if own:
        rows.append(("", "on the text that was trained on: nothing was held out"))
    rows.append(("model", str(result.folder)))
    click.echo(table(rows), err=True)
    folder = shlex.quote(str(result.folder))
    click.echo(f"Now try: {program()} generate {folder}", err=True)
