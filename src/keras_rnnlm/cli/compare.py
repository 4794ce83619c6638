"""`rnnlm compare`: models of several kinds on one's own text, in one table."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from keras_rnnlm.cli.base import Duration, Verb, typed_words
from keras_rnnlm.cli.imports import import_option
from keras_rnnlm.cli.outputs import check_file
from keras_rnnlm.cli.process import program
from keras_rnnlm.cli.suggested import SUGGEST
from keras_rnnlm.cli.train import (
    free_path,
    parse_split,
    read_corpus,
    resume_command,
    stem,
    train,
)

if TYPE_CHECKING:
    from keras_rnnlm.data.corpus import Corpus
    from keras_rnnlm.search.compare import Comparison
    from keras_rnnlm.search.contestants import Overrides
    from keras_rnnlm.search.plan import Plan
    from keras_rnnlm.search.summary import Summary

MINUTES = 1.0
BUDGETS = ("max_steps", "epochs")
CSV, LATEX, PLOT, TABLE = "runs.csv", "table.tex", "perplexity.png", "table.txt"
# What says which text, and how it is read: the same for a comparison as for training.
OF_TEXT = (
    "valid",
    "test",
    "split",
    "encoding",
    "tokenizer",
    "segmenter",
    "vocabulary_size",
    "minimum_count",
    "vocabulary",
)


@click.command(cls=Verb, short_help="Compare kinds of models on a text.")
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--models",
    metavar="A,B,...",
    help="ngram, transformer, convolutional and recurrent cells by name; or all. By "
    "default these three and simple_rnn, lstm, gru, qrnn, min_gru.",
)
@click.option(
    "--minutes",
    type=Duration(),
    help="Time of each run of a network; 1, unless --set max_steps or --set epochs "
    "says how long they are.",
)
@click.option(
    "--parameters",
    metavar="N",
    help="Solve for the units with which each network has so many weights: 24M, 300k. "
    "Without it each has the size of its recipe.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Runs of each network, with different seeds: means and deviations.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="The first of these seeds.",
)
@click.option(
    "--trials",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Runs of each model beforehand, with other learning rates and dropouts; the "
    "best on the validation text is taken.",
)
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    metavar="NAME|FILE",
    type=click.Path(),  # several of them in the variable are parted as paths are
    envvar="RNNLM_RECIPE",
    show_envvar=True,
    help="Settings to begin with, for models of the recipe's kind of network; may be "
    "repeated. The recipes for the kind of tokenizer by default.",
)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="[MODEL.]KEY=VALUE",
    help="Change a setting of all models, or of one: gru.learning_rate=0.01.",
)
@click.option(
    "--out",
    type=click.Path(),
    help="Folder for all runs; a new one below runs/ by default.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on in --out. What has finished there is kept; models and seeds may be "
    "added.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(),
    help=f"Write a line for each run here too; {CSV} in --out has them anyway.",
)
@click.option(
    "--latex",
    "latex_file",
    type=click.Path(),
    help=f"Write the table for LaTeX here too; {LATEX} in --out has it anyway.",
)
@click.option(
    "--plot",
    "plot_file",
    type=click.Path(),
    help=f"Draw perplexity over time here too (PNG); {PLOT} in --out has it anyway.",
)
@import_option
@click.pass_context
def compare(context: click.Context, /, **options: Any) -> int:
    """Compare models on TEXT... (files, folders, or - for stdin).

    Every network is trained by itself, one after the other, with the same time (or
    steps), text, vocabulary and protocol; the n-gram model is counted. Figures are of
    test text that neither training nor the choice of settings has seen.
    """
    from keras_rnnlm.search.contestants import check_names, parse_sets
    from keras_rnnlm.training.run_folder import refuse_existing

    if options["resume"] and options["out"] is None:
        raise click.UsageError(
            "--resume needs --out, the folder of the comparison.", context
        )
    # Before anything heavy: a slip in a name or a setting shows at once.
    _refuse_suggestions(context, options["recipes"])
    models = check_names(_names(options["models"]))
    overrides = parse_sets(options["sets"], models)
    minutes = _minutes(options["minutes"], overrides)
    split = parse_split(options["split"])
    name = f"{stem(options['texts'][0])}-compare"
    out = Path(options["out"] or free_path(Path("runs") / name))
    if not options["resume"]:
        refuse_existing(out)
    for name in ("csv", "latex", "plot"):
        check_file(f"--{name}", options[f"{name}_file"])

    from keras_rnnlm.backend import unused_gpu
    from keras_rnnlm.cli.compare_progress import Progress
    from keras_rnnlm.program_cache import keep_programs
    from keras_rnnlm.recipe_files import read_recipe
    from keras_rnnlm.search.compare import compare as compare_models
    from keras_rnnlm.search.plan import make_plan
    from keras_rnnlm.search.sizes import parse_count
    from keras_rnnlm.search.summary import summarise

    wanted = options["parameters"]
    parameters = None if wanted is None else parse_count(wanted)
    keep_programs()
    recipes = map(read_recipe, options["recipes"])
    given = (*recipes, overrides.general, *overrides.own.values())
    vectors = any(values.get("vectors") is not None for values in given)
    corpus = read_corpus(options, split, options["seed"], vectors)
    plan = make_plan(
        corpus,
        models,
        minutes=minutes,
        overrides=overrides,
        recipes=options["recipes"],
        parameters=parameters,
        seeds=options["seeds"],
        first_seed=options["seed"],
        trials=options["trials"],
    )
    with Progress() as progress:
        for sentence in [*corpus.notes, _test_note(corpus), unused_gpu()]:
            if sentence:
                progress.note(sentence)
        progress.announce(plan, out, options["resume"])
        found = compare_models(
            corpus,
            plan,
            out,
            resume=options["resume"],
            observer=progress,
            command=shlex.join(["rnnlm", *typed_words(context)]),
        )
    if found.interrupted is not None:
        click.echo(
            f"Interrupted. Finished runs are in {out}; go on with:\n"
            f"  {resume_command(context, out)}",
            err=True,
        )
        return 128 + found.interrupted
    summary = summarise(found)
    _write(found, summary, out, options)
    _print(found, summary, plan, out, options["as_json"])
    return 0


# The very options of `rnnlm train`.
compare.params[1:1] = [option for option in train.params if option.name in OF_TEXT]


def _refuse_suggestions(context: click.Context, recipes: Sequence[str]) -> None:
    """Refuse what `train` takes in the place of a recipe."""
    if SUGGEST not in recipes:
        return
    given, cure = f"--recipe {SUGGEST}", "Leave it out"
    if context.get_parameter_source("recipes") is ParameterSource.ENVIRONMENT:
        given, cure = f"RNNLM_RECIPE={SUGGEST}", "Unset it"
    raise click.UsageError(
        "A comparison chooses nothing for the time: what kinds of models are worth "
        "should not hang on rules that were made for some of them (docs/compare.md). "
        f"Received {given}. {cure} for the recipes for the kind of text, or give one "
        "that is to be compared: --recipe NAME|FILE.",
        context,
    )


def _names(text: str | None) -> Sequence[str]:
    from keras_rnnlm.search.contestants import DEFAULT, names

    if text is None:
        return DEFAULT
    if text.strip() == "all":
        return names()
    return [name.strip() for name in text.split(",") if name.strip()]


def _minutes(minutes: float | None, overrides: "Overrides") -> float | None:
    """Return the budget in minutes, None if steps or epochs are set."""
    given = [key for key in BUDGETS if key in overrides.general]
    if given and minutes is not None:
        raise click.UsageError(
            f"--minutes and --set {given[0]} are two budgets for a run; leave one out."
        )
    return None if given else (minutes or MINUTES)


def _test_note(corpus: "Corpus") -> str | None:
    if corpus.test is not None:
        return None
    return (
        "There is no test text: figures are those of the validation text, which chose "
        "the weights, and nothing is tested. Give --test FILE for fair ones."
    )


def _write(
    found: "Comparison", summary: "Summary", out: Path, options: dict[str, Any]
) -> None:
    from keras_rnnlm.search.exports import csv_text, latex_text
    from keras_rnnlm.search.plot import comparison_plot
    from keras_rnnlm.search.table import plain_table, remarks

    table = "\n".join([plain_table(summary), "", *remarks(summary), ""])
    for text, name, given in (
        (table, TABLE, None),
        (csv_text(found), CSV, options["csv_file"]),
        (latex_text(found, summary), LATEX, options["latex_file"]),
    ):
        for path in (out / name, given):
            if path is not None:
                Path(path).write_text(text, encoding="utf-8")
    for path in (out / PLOT, options["plot_file"]):
        if path is not None:
            comparison_plot(summary, path)


def _print(
    found: "Comparison", summary: "Summary", plan: "Plan", out: Path, as_json: bool
) -> None:
    from keras_rnnlm.search.table import plain_table, remarks

    if as_json:
        rows = [row.to_dict() for row in summary.rows]
        runs = [run.to_dict() for run in found.records.runs]
        told = {**found.records.facts, "reference": summary.reference}
        click.echo(json.dumps({**told, "rows": rows, "runs": runs}, ensure_ascii=False))
    else:
        click.echo(plain_table(summary))
    for sentence in remarks(summary):
        click.echo(sentence, err=True)
    networks = [row for row in summary.rows if row.model in plan.settings and row.runs]
    lines = [f"All runs, {TABLE}, {CSV}, {LATEX} and {PLOT} are in {out}."]
    if networks:
        best = shlex.quote(str(out / networks[0].runs[0].name))
        lines.append(f"Now try: {program()} generate {best}")
    click.echo("\n".join(lines), err=True)
