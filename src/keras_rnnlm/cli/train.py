"""`rnnlm train`: a language model of one's own text."""

import json
import shlex
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from keras_rnnlm.cli.base import Duration, Verb, is_typed, typed_command, typed_words
from keras_rnnlm.cli.figures import short_row, system_rows
from keras_rnnlm.cli.imports import import_option
from keras_rnnlm.cli.process import program, started_at
from keras_rnnlm.cli.suggested import (
    SUGGEST,
    minutes_to_suggest_for,
    suggested_settings,
)
from keras_rnnlm.cli.wording import figure, table
from keras_rnnlm.errors import FolderError

if TYPE_CHECKING:
    from keras_rnnlm.data.corpus import Corpus
    from keras_rnnlm.training.ensemble_run import EnsembleResult
    from keras_rnnlm.training.run import TrainingResult

TOKENIZERS = ("char", "word", "bpe", "unigram")


@click.command(cls=Verb, short_help="Train a model on a text.")
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--valid",
    multiple=True,
    type=click.Path(),
    help="Validation text; may be repeated. A held-out tail of TEXT by default.",
)
@click.option(
    "--test",
    multiple=True,
    type=click.Path(),
    help="Test text; may be repeated. A held-out tail of TEXT by default.",
)
@click.option(
    "--split",
    metavar="A,B[,C]",
    help="Shares of TEXT for training, validation and test: 0.9,0.1 or 0.8,0.1,0.1.",
)
@click.option("--encoding", default="utf-8", show_default=True, help="Of the texts.")
@click.option(
    "--tokenizer",
    type=click.Choice(TOKENIZERS),
    help="What the model predicts. Chosen from the text by default.",
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
    "--minimum-count",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Words that are rarer become <unk>.",
)
@click.option(
    "--vocabulary",
    type=click.Path(),
    help="A file with the words of the vocabulary, one a line.",
)
@click.option(
    "--recipe",
    metavar="NAME|FILE",
    envvar="RNNLM_RECIPE",
    show_envvar=True,
    help="Settings to begin with; `rnnlm recipes` lists them, and `suggest` chooses "
    "them for the text, this machine and --minutes: the default from 3 minutes on. For "
    "less, without --minutes and with --members it is the one for the kind of "
    "tokenizer; other networks have their own.",
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
    envvar="RNNLM_MINUTES",
    show_envvar=True,
    help="Time for all of it, from start to final figures.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    envvar="RNNLM_SEED",
    show_envvar=True,
    help="Of the weights, the order of the data and dropout.",
)
@click.option(
    "--out",
    type=click.Path(),
    help="Folder for the model; a new one below runs/ by default.",
)
@click.option(
    "--replay",
    metavar="MODEL",
    type=click.Path(),
    help="Repeat the run that made MODEL, step by step: its settings, its schedule.",
)
@click.option(
    "--members",
    metavar="K",
    type=click.IntRange(min=2),
    help="Train an ensemble: K models with neighbouring seeds, stepped together (JAX).",
)
@click.option(
    "--tensorboard",
    metavar="DIR",
    type=click.Path(),
    help="Write events for TensorBoard below DIR, under the name of --out "
    "(pip install 'keras-rnnlm[tensorboard]').",
)
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@import_option
@click.pass_context
def train(context: click.Context, /, **options: Any) -> int:
    """Train a model on TEXT... (files, folders, or - for stdin).

    The recipe's settings are beaten by environment variables (RNNLM_MINUTES,
    RNNLM_SEED), those by options. RNNLM_CACHE is where encoded texts and compiled
    programs are kept; RNNLM_PROGRAMS=off keeps no programs.
    """
    from keras_rnnlm.config import Settings, default_recipe
    from keras_rnnlm.training.run_folder import refuse_existing

    if options["resume"] and options["out"] is None:
        raise click.UsageError("--resume needs --out, the folder of the run.", context)
    # Before anything heavy: a slip in a setting or a split shows at once.
    overrides = _overrides(context, options)
    schedule = repeated = None
    recipe, minutes = options["recipe"], None
    if options["replay"] is not None:
        from keras_rnnlm.training.train import schedule_of

        repeated = _report_to_replay(context, options)
        settings, schedule = schedule_of(repeated)
    else:
        named = None if recipe == SUGGEST else recipe
        settings = Settings.from_recipe(named, overrides)
        minutes = minutes_to_suggest_for(recipe, settings, options["members"])
    if settings.protocol is not None:
        from keras_rnnlm.scoring.protocols import parse_protocol

        parse_protocol(settings.protocol)
    split = parse_split(options["split"])
    out = Path(options["out"] or free_path(Path("runs") / stem(options["texts"][0])))

    if not options["resume"]:
        refuse_existing(out)

    from keras_rnnlm.backend import unused_gpu
    from keras_rnnlm.cli.progress import make_reporter
    from keras_rnnlm.program_cache import keep_programs
    from keras_rnnlm.training.tensorboard import EventReporter
    from keras_rnnlm.training.train import check_replay
    from keras_rnnlm.training.train import train as train_model
    from keras_rnnlm.training.train_members import train_members

    keep_programs()
    vectors = settings.vectors is not None
    corpus = read_corpus(options, split, settings.seed, vectors)
    if repeated is not None:
        check_replay(repeated, corpus)
    if recipe is None and schedule is None and minutes is None:
        recipe = default_recipe(corpus.tokenizer.kind, settings.network)
        settings = Settings.from_recipe(recipe, overrides)
    with make_reporter() as reporter, ExitStack() as stack:
        for sentence in [*corpus.notes, unused_gpu()]:
            if sentence:
                reporter.note(sentence)
        if minutes is not None:
            begun = out if options["resume"] else None
            settings = suggested_settings(
                corpus, minutes, overrides, begun, reporter.note, recipe == SUGGEST
            )
        told: Any = reporter
        if options["tensorboard"] is not None:
            board = Path(options["tensorboard"], out.name)
            told = stack.enter_context(closing(EventReporter(board, reporter)))
        rest: dict[str, Any] = {
            "resume": options["resume"],
            "schedule": schedule,
            "reporter": told,
            "started": started_at(),
            "command": typed_command(context),
        }
        result: TrainingResult | EnsembleResult
        if options["members"] is None:
            result = train_model(corpus, settings, out, **rest)
        else:
            result = train_members(corpus, settings, out, options["members"], **rest)
    if result.interrupted is not None:
        return say_interrupted(result, resume_command(context, out))
    if options["as_json"]:
        click.echo(json.dumps(result.report, ensure_ascii=False))
    _say_trained(result)
    return 0


def free_path(wanted: Path) -> Path:
    """Return the path, or with `-2`, `-3`, ... behind its stem where it exists."""
    path, number = wanted, 1
    while path.exists():
        number += 1
        path = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
    return path


def say_interrupted(result: "TrainingResult | EnsembleResult", command: str) -> int:
    """Say how to go on with an interrupted run; return the exit code."""
    number = result.interrupted or 0
    click.echo(
        f"Interrupted. The checkpoint is in {result.folder}; go on with:\n  {command}",
        err=True,
    )
    return 128 + number


def _overrides(context: click.Context, options: dict[str, Any]) -> dict[str, Any]:
    """Return settings from variables, `--set` and flags, each beating those before."""
    from keras_rnnlm.config import overridden, parse_overrides

    variables: dict[str, Any] = {}
    flags: dict[str, Any] = {}
    for name in ("minutes", "seed"):
        if (value := options[name]) is not None:
            source = context.get_parameter_source(name)
            given = variables if source is ParameterSource.ENVIRONMENT else flags
            given[name] = value
    return overridden(variables, {**parse_overrides(options["sets"]), **flags})


def _report_to_replay(
    context: click.Context, options: dict[str, Any]
) -> dict[str, Any]:
    """Return the report of the run that made `--replay MODEL`."""
    for name in ("recipe", "sets", "minutes", "seed"):
        if is_typed(context, name):
            option = {"sets": "--set"}.get(name, f"--{name}")
            raise click.UsageError(
                f"--replay repeats a run with the settings it had; leave {option} out.",
                context,
            )
    path = Path(options["replay"], "report.json")
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FolderError(
            f"Cannot read '{path}' ({error}). --replay takes the folder of a run that "
            "has finished."
        ) from error
    return found


def parse_split(text: str | None) -> tuple[float, ...] | None:
    """Read `--split`."""
    if text is None:
        return None
    try:
        return tuple(float(share) for share in text.split(","))
    except ValueError:
        raise click.BadParameter(
            f"expected two or three numbers such as 0.9,0.1; received '{text}'.",
            param_hint="--split",
        ) from None


def stem(text: str) -> str:
    """Return a name for the run from the name of its first text."""
    name = Path(text).name.split(".")[0]
    return name if name not in ("", "-") else "model"


def read_corpus(
    options: dict[str, Any],
    split: tuple[float, ...] | None,
    seed: int,
    vectors: bool = False,
) -> "Corpus":
    """Encode the texts that a command was given, with a bar on a terminal.

    Args:
        options: Of the command.
        split: Shares of the texts, or None.
        seed: Of the sample that sub-word tokenizers are trained on.
        vectors: Whether a model of them begins with word vectors.
    """
    from keras_rnnlm.cli.progress import reading
    from keras_rnnlm.data.corpus import Corpus

    with reading("encoding") as progress:
        return Corpus.from_files(
            options["texts"],
            valid=options["valid"] or None,
            test=options["test"] or None,
            split=split,
            encoding=options["encoding"],
            tokenizer=options["tokenizer"] or "auto",
            segmenter=options["segmenter"],
            vocabulary_size=options["vocabulary_size"],
            minimum_count=options["minimum_count"],
            vocabulary_file=options["vocabulary"],
            vectors=vectors,
            seed=seed,
            progress=progress,
        )


def resume_command(context: click.Context, out: Path) -> str:
    """Return the command line that was given, with what it takes to go on."""
    words = [*typed_words(context)]
    if "--resume" not in words:
        words.append("--resume")
    if context.get_parameter_source("out") is ParameterSource.DEFAULT:
        words += ["--out", str(out)]
    return f"{program()} {shlex.join(words)}"


def _say_trained(result: "TrainingResult | EnsembleResult") -> None:
    report, members = result.report, result.report.get("members")
    rows = [short_row(p, report[p]) for p in ("valid", "test") if report.get(p)]
    if report.get("system"):
        rows += system_rows(report["system"])
    folder = shlex.quote(str(result.folder))
    if members:
        for part in ("valid", "test"):
            if report.get(part):
                each = ", ".join(figure(member[part]) for member in members)
                rows.append((f"{part}, one by one", each))
        rows.append(("ensemble", str(result.folder)))
        folder = shlex.quote(str(result.folder / members[0]["folder"]))
    else:
        rows.append(("model", str(result.folder)))
    click.echo(table(rows), err=True)
    click.echo(f"Now try: {program()} generate {folder}", err=True)
