"""`rnnlm tune`: search settings for one's own text, under a budget."""

import os
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_rnnlm.cli.base import Duration, Verb, is_typed, typed_words
from keras_rnnlm.cli.compare import OF_TEXT
from keras_rnnlm.cli.imports import import_option
from keras_rnnlm.cli.process import started_at
from keras_rnnlm.cli.suggested import SUGGEST
from keras_rnnlm.cli.train import (
    free_path,
    parse_split,
    read_corpus,
    resume_command,
    stem,
    train,
)
from keras_rnnlm.cli.tune_budget import rungs_of, sampler_of, short_rung
from keras_rnnlm.cli.tune_output import print_search, write_search
from keras_rnnlm.errors import ConfigError, InputError

if TYPE_CHECKING:
    from keras_rnnlm.data.corpus import Corpus
    from keras_rnnlm.search.tune_plan import TunePlan
    from keras_rnnlm.search.tune_start import Start

BUDGETS = ("minutes", "max_steps", "epochs")


class _Tune(Verb):
    """The command, which leaves the memory of a GPU to the trainings that it starts."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Say so before JAX can start, which a file of --import may make it do."""
        # By default JAX takes three quarters of the memory for as long as its process
        # lives. This one measures the machine and then waits for its trials for hours;
        # and of several workers on one GPU, who inherit it, only the first could begin.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        return super().parse_args(ctx, args)


@click.command(cls=_Tune, short_help="Search settings for a text.")
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--minutes",
    type=Duration(),
    help="Time of the whole search, final runs included, summed over resumes; with "
    "--trial-steps about so much.",
)
@click.option(
    "--trials", type=click.IntRange(min=1), help="End after so many trials at most."
)
@click.option(
    "--trial-minutes",
    type=Duration(),
    help="Time of a training on the last rung, and of the final runs: that of the "
    "model you want. A twentieth of --minutes by default.",
)
@click.option(
    "--trial-steps",
    type=click.IntRange(min=1),
    help="The same as a number of optimizer steps instead of a time.",
)
@click.option(
    "--search",
    "searches",
    multiple=True,
    metavar="KEY=RANGE",
    help="Search a setting: units=64:512:log, dropout=0:0.6, steps=20:80:20 or "
    "cell=lstm,gru; may be repeated. What suits the text by default.",
)
@click.option(
    "--recipe",
    metavar="NAME|FILE",
    envvar="RNNLM_RECIPE",
    show_envvar=True,
    help="Settings to begin with: trial 0, and what is not searched. By default "
    "`suggest`: what rnnlm suggest proposes.",
)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting of the recipe, for all trials; may be repeated.",
)
@click.option(
    "--pruner",
    type=click.Choice(("asha", "hyperband", "none")),
    default="asha",
    show_default=True,
    help="Which trials are trained longer. asha: the best so far of each rung; "
    "hyperband: the best of each bracket; none: all, from the start.",
)
@click.option(
    "--factor",
    type=click.IntRange(min=2),
    default=3,
    show_default=True,
    help="One trial in so many goes on, to a rung so many times as long.",
)
@click.option(
    "--rungs",
    type=click.IntRange(min=1),
    help="Number of rungs; 3, fewer where the first would be under 40 seconds.",
)
@click.option(
    "--sampler",
    type=click.Choice(("near", "tpe", "random")),
    default="near",
    show_default=True,
    help="Where to look: a good trial with one or a few settings changed, where a "
    "model of all trials expects most, or anywhere.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Trials at once, each with its share of the cores.",
)
@click.option(
    "--storage",
    metavar="PATH|URL",
    help="Where trials are kept: a journal file, or postgresql+psycopg://... or "
    "mysql+pymysql://... for several machines. A journal in --out by default.",
)
@click.option(
    "--study",
    metavar="NAME",
    help="Name of the search in a storage that has several; the text's by default.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of all that is drawn, and of the trainings.",
)
@click.option(
    "--out",
    type=click.Path(),
    help="Folder for all of it; a new one below runs/ by default.",
)
@click.option("--resume", is_flag=True, help="Go on in --out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@import_option
@click.pass_context
def tune(context: click.Context, /, **options: Any) -> int:
    """Search settings for TEXT... (files or folders).

    Trials begin with a short training; the better ones are trained anew for longer, all
    of a rung for the same time, and judged on the validation text. The test text is
    left alone. At the end the best is trained beside what `rnnlm suggest` proposes and
    the default, and best.toml is a recipe for `rnnlm train --recipe`. Needs: pip
    install 'keras-rnnlm[tune]'.
    """
    from keras_rnnlm.config import Settings, parse_overrides
    from keras_rnnlm.search.space import parse_search
    from keras_rnnlm.training.run_folder import refuse_existing

    if options["resume"] and options["out"] is None:
        raise click.UsageError(
            "--resume needs --out, the folder of the search.", context
        )
    if options["minutes"] is None and options["trials"] is None:
        raise click.UsageError(
            "Give --minutes, or --trials: a search needs an end.", context
        )
    # Before anything heavy: a slip in a name or a setting shows at once. A storage may
    # have a search with rungs, which are those of whoever joins it.
    if not options["resume"] and options["storage"] is None:
        rungs_of(context, options)
    sets = parse_overrides(options["sets"])
    for name in (*BUDGETS, "seed"):
        if name in sets:
            flag = "--seed" if name == "seed" else "--trial-minutes or --trial-steps"
            raise ConfigError(f"A search sets '{name}' by itself: use {flag}.")
    overrides = {**sets, "seed": options["seed"]}
    # A suggestion is what there is by default.
    recipe = None if options["recipe"] == SUGGEST else options["recipe"]
    settings = Settings.from_recipe(recipe, overrides)
    left_out = settings.system_minutes
    if left_out:  # of the recipe or typed
        overrides["system_minutes"] = 0.0
        settings = settings.replace(system_minutes=0.0)
    parse_search(options["searches"], settings, sets)
    if "-" in (*options["texts"], *options["valid"], *options["test"]):
        raise InputError(
            "A search reads its text again when it goes on, and so not from standard "
            "input. Give a file."
        )
    split = parse_split(options["split"])
    name = stem(options["texts"][0])
    out = Path(options["out"] or free_path(Path("runs") / f"{name}-tune"))
    if not options["resume"]:
        refuse_existing(out)

    # First of what is heavy: it says if Optuna is missing.
    from keras_rnnlm.search.study import hidden

    # isort: split
    from keras_rnnlm.cli.tune_progress import TuneProgress
    from keras_rnnlm.search.children import shares
    from keras_rnnlm.search.tune import Limits, check_limits
    from keras_rnnlm.search.tune import tune as search
    from keras_rnnlm.search.tune_start import (
        other_plan,
        plan_begun,
        rivals_of,
        start_of,
        start_of_begun,
    )

    study = options["study"] or name
    begun = plan_begun(out, options["resume"], options["storage"], study)
    if begun is not None and not is_typed(context, "seed"):
        options["seed"] = overrides["seed"] = begun.seed
        settings = settings.replace(seed=begun.seed)
    rungs = rungs_of(context, options, begun)
    limits = Limits(options["minutes"], options["trials"], options["workers"])
    rivals = rivals_of(rungs, settings.network) if begun is None else begun.rivals
    check_limits(rungs, 1 + len(rivals), limits)
    if begun is None and (note := short_rung(rungs)) is not None:
        _say(note)
    vectors = (settings if begun is None else begun.settings).vectors is not None
    corpus = read_corpus(options, split, options["seed"], vectors)
    if left_out:
        corpus.notes.append(
            "Trials are judged without what evaluation adds: system_minutes="
            f"{left_out:g} is left out."
        )
    given = None if recipe is None else settings
    if begun is None:
        start = start_of(corpus, recipe, overrides, rungs, _say)
        check_limits(rungs, 1 + len(rivals), limits, time.monotonic() - started_at())
        plan = _plan(context, options, corpus, start)
        if options["storage"] is not None:
            begun = other_plan(options["storage"], study, plan)
        if begun is not None:
            _say("Another process has begun this search meanwhile: its plan holds.")
            start = start_of_begun(begun, given, overrides)
            plan = _plan(context, options, corpus, start, begun)
    else:
        start = start_of_begun(begun, given, overrides)
        plan = _plan(context, options, corpus, start, begun)
    progress = TuneProgress(plan)
    for sentence in corpus.notes:
        progress.note(sentence)
    progress.announce(limits, out, [len(each) for each in shares(limits.workers)])
    # It is written down.
    command = shlex.join(["rnnlm", *map(hidden, typed_words(context))])
    found = search(
        corpus,
        plan,
        out,
        limits,
        storage=options["storage"],
        study=study,
        resume=options["resume"],
        watcher=progress,
        started=started_at(),
        command=command,
    )
    write_search(found, command, progress)
    if found.interrupted is not None:
        click.echo(
            f"Interrupted. All that is finished is in {out}; go on with:\n"
            f"  {resume_command(context, out)}",
            err=True,
        )
        return 128 + found.interrupted
    print_search(found, context, options, out, command)
    return 0


# The very options of `rnnlm train`; a test text is only left out of the search.
tune.params[1:1] = [option for option in train.params if option.name in OF_TEXT]


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


def _plan(
    context: click.Context,
    options: dict[str, Any],
    corpus: "Corpus",
    start: "Start",
    begun: "TunePlan | None" = None,
) -> "TunePlan":
    """Return what is searched.

    Args:
        context: Of the command.
        options: That were given.
        corpus: The text.
        start: Where the search begins.
        begun: What it is gone on with or joined; what was not typed is as there.
    """
    from keras_rnnlm.config import parse_overrides
    from keras_rnnlm.search.space import default_space, parse_search
    from keras_rnnlm.search.tune_plan import make_tune_plan

    sets = parse_overrides(options["sets"])
    usual = (
        default_space(start.settings, corpus.tokenizer.kind)
        if begun is None
        else begun.space
    )
    return make_tune_plan(
        corpus,
        start.settings,
        parse_search(options["searches"], start.settings, sets) or usual,
        rungs_of(context, options, begun),
        sampler=sampler_of(context, options, begun),
        seed=options["seed"],
        rivals=start.rivals,
    )
