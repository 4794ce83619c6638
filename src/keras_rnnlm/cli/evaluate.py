"""`rnnlm evaluate`: perplexity and the other figures of a model on a text.

The figures of the plain forward pass always come first and are never replaced. What is
added at evaluation time follows line by line, in JSON as the list `additions`: each
with `name`, the figures, `seconds`, `preparation_seconds` and `settings`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_rnnlm.cli.additions import (
    line_rows,
    load_ngram,
    model_folders,
    ngram_options,
    parse_settings,
    part,
    working,
)
from keras_rnnlm.cli.base import Verb
from keras_rnnlm.cli.example import after_example, example_options
from keras_rnnlm.cli.figures import report_rows
from keras_rnnlm.cli.imports import import_option
from keras_rnnlm.cli.wording import table
from keras_rnnlm.errors import ConfigError, RNNLMError
from keras_rnnlm.models.ensemble_folder import is_tuned

if TYPE_CHECKING:
    from keras_rnnlm.language_model import LanguageModel
    from keras_rnnlm.scoring.system import LineReport
    from keras_rnnlm.scoring.tuned_ensemble import TunedEnsemble


@click.command(cls=Verb, short_help="Measure how well a model predicts a text.")
@click.argument("model", type=click.Path())
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--protocol",
    help="What the state remembers: carry (through each whole file), sentence (reset "
    "at each line), window:N (every N tokens) or lanes:K. The model's own by default.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    help="Most segments scored side by side; no figure depends on it.",
)
@click.option(
    "--weights",
    type=click.Choice(["float32", "bfloat16", "int8"]),
    help="Measure the model as `rnnlm generate --weights` uses it.",
)
@click.option("--temperature", type=float, help="Of the softmax; 1 changes nothing.")
@click.option(
    "--dynamic",
    is_flag=True,
    help="Dynamic evaluation: the model goes on learning from what it has scored.",
)
@click.option(
    "--cache", is_flag=True, help="Continuous cache: recent words are likelier."
)
@ngram_options
@click.option(
    "--system",
    is_flag=True,
    help="All additions, with the settings that `rnnlm tune-evaluation` stored.",
)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of an addition, such as dynamic.rate=0.1 or cache.weight=0.2.",
)
@example_options
@click.option("--encoding", default="utf-8", show_default=True, help="Of the texts.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@import_option
def evaluate(
    model: str,
    texts: tuple[str, ...],
    protocol: str | None,
    batch_size: int | None,
    weights: str | None,
    encoding: str,
    as_json: bool,
    sets: tuple[str, ...],
    example: str | None,
    by: str,
    **asked: Any,
) -> None:
    """Measure how well MODEL predicts TEXT... (files, folders, or - for stdin).

    Additions (--dynamic, --cache, ...) are reported on lines of their own, each with
    what the lines above it have and one thing more. A MODEL that is an ensemble, as
    `rnnlm train --members` writes them, is its first member with the others added;
    where they were tuned together, every line is of all members.
    """
    settings = parse_settings(sets)
    folder, added = model, asked["ensemble"]
    model, *others = model_folders(folder)
    asked["ensemble"] = (*others, *added)
    tuned = is_tuned(Path(folder))
    # What was found for all does not fit one of them after an example.
    whole = tuned and not added and example is None
    if others:
        mean = "the lines after them are" if whole else "the line 'ensemble' is"
        click.echo(
            f"An ensemble of {1 + len(others)} models: the plain figures are those of "
            f"{model} alone, {mean} of all.",
            err=True,
        )
    if tuned and added and asked["system"]:
        raise click.UsageError(
            f"--system uses settings that were searched for the models in '{folder}' "
            "alone; leave --ensemble out."
        )
    _check(asked, settings, weights)
    if example is not None:
        _check_example(by, asked, weights)
    from keras_rnnlm.cli.progress import reading
    from keras_rnnlm.language_model import load
    from keras_rnnlm.program_cache import keep_programs

    keep_programs()
    lm = after_example(load(model), example, by, encoding)
    if weights is not None:
        lm = lm.quantize(weights)
    wanted = _wanted(asked)
    if wanted:
        # All that can be refused is, before minutes go into the plain figures.
        given = _given(lm, encoding, asked, settings)
        if whole:
            target: LanguageModel | TunedEnsemble = _as_one(lm, others, folder)
        else:
            target = lm
            given["ensemble"] = _others(asked["ensemble"])
        target.check_additions(**given)
    with reading("evaluating") as progress:
        report = lm.evaluate(
            texts,
            protocol,
            encoding=encoding,
            batch_size=batch_size,
            progress=progress,
        )
    figures = {**report.to_dict(), "weights": weights or "float32"}

    def show(lines: "Sequence[LineReport]") -> None:
        if as_json:
            click.echo(json.dumps(figures, ensure_ascii=False))
            return
        rows = report_rows(figures)
        if weights is not None:
            rows.insert(1, ("weights", weights))
        click.echo(table(rows + line_rows(lines, report.perplexity)))

    if not wanted:
        show([])
        return
    static = whole or report.protocol != "carry"
    try:
        with working("evaluating") as told:
            lines = target.evaluate_additions(
                texts, static=static, encoding=encoding, progress=told, **given
            )
    except RNNLMError:
        show([])  # what there is; the error follows
        raise
    figures["additions"] = [line.to_dict() for line in lines]
    show(lines)


def _wanted(asked: dict[str, Any]) -> bool:
    given = {name: value for name, value in asked.items() if name != "train_texts"}
    temperature = given.pop("temperature")
    return temperature is not None or any(given.values())


def _check(
    asked: dict[str, Any],
    settings: dict[str, Any],
    weights: str | None,
) -> None:
    """Refuse what cannot go together, before anything is loaded."""
    names = ("temperature", "mc_dropout", "ngram")
    others = [name for name in names if asked[name] is not None]
    others += [name for name in ("dynamic", "cache") if asked[name]]
    if asked["system"] and (others or settings):
        what = others[0].replace("_", "-") if others else "set"
        raise click.UsageError(
            "--system uses the settings that are stored with the model; leave "
            f"--{what} out, or --system."
        )
    if asked["train_texts"] and asked["ngram"] != "fit":
        raise click.UsageError(
            "--train is the text that --ngram fit counts in; add --ngram fit, or leave "
            "--train out."
        )
    for key in settings:
        name = key.partition(".")[0]
        if not asked[name]:
            option = name.replace("_", "-")
            raise ConfigError(
                f"--set {key} expects --{option} beside it, received none. Add "
                f"--{option}, or leave the setting out."
            )
    if not _wanted(asked):
        return
    if weights is not None:
        raise click.UsageError(
            "--weights packs the network, which then has the plain figures alone; "
            "leave it out, or what is added."
        )


def _check_example(by: str, asked: dict[str, Any], weights: str | None) -> None:
    """Refuse what does not go with an example."""
    if asked["system"]:
        raise click.UsageError(
            "--system was fitted to the weights that the model has, and --example "
            "changes them or adds a cache. Leave one of them out; --dynamic, --cache "
            "and the other single additions go with --example --by dynamic."
        )
    if by == "cache" and (weights is not None or _wanted(asked)):
        raise click.UsageError(
            "--by cache is one of the additions, filled by the example; it does not go "
            "with others or with --weights. Use --by dynamic, or leave them out."
        )


def _as_one(lm: "LanguageModel", others: Sequence[str], folder: str) -> "TunedEnsemble":
    """Return the models of an ensemble, with what was searched for them as a whole.

    Args:
        lm: Its first model.
        others: The folders of the others.
        folder: Its own folder.
    """
    from keras_rnnlm.language_model import load
    from keras_rnnlm.scoring.tuned_ensemble import TunedEnsemble

    ensemble = TunedEnsemble([lm, *map(load, others)])
    ensemble.read_tuned_from(folder)
    return ensemble


def _others(folders: Sequence[str]) -> "list[LanguageModel]":
    """Return the models that --ensemble names, all members of those that are many."""
    from keras_rnnlm.language_model import load

    return [load(folder) for given in folders for folder in model_folders(given)]


def _given(
    lm: "LanguageModel", encoding: str, asked: dict[str, Any], settings: dict[str, Any]
) -> dict[str, Any]:
    """Return the arguments of `evaluate_additions` that the options stand for."""
    from keras_rnnlm.scoring.cache import CacheSettings
    from keras_rnnlm.scoring.learning import DynamicSettings

    order = part(settings, "ngram").get("order")
    dynamic, cache = part(settings, "dynamic"), part(settings, "cache")
    return {
        "system": asked["system"],
        "temperature": asked["temperature"],
        "dynamic": DynamicSettings(**dynamic) if dynamic else asked["dynamic"],
        "cache": CacheSettings(**cache) if cache else asked["cache"],
        "mc_dropout": asked["mc_dropout"] or 0,
        "ngram": load_ngram(lm, asked["ngram"], asked["train_texts"], encoding, order),
        "weights": {
            key.removesuffix(".weight"): value
            for key, value in settings.items()
            if key.endswith(".weight")
        },
    }
