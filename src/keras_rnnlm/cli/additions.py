"""The options of what is added at evaluation time, and how its lines are shown."""

import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_rnnlm.cli.figures import TITLES, line_time
from keras_rnnlm.cli.wording import count, figure
from keras_rnnlm.errors import ConfigError, InputError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keras_rnnlm.language_model import LanguageModel
    from keras_rnnlm.scoring.ngram import NGramModel
    from keras_rnnlm.scoring.system import LineReport

KEYS = {
    "dynamic.rate": float,
    "dynamic.decay": float,
    "dynamic.segment": int,
    "dynamic.scaled": bool,
    "dynamic.epsilon": float,
    "cache.window": int,
    "cache.theta": float,
    "cache.weight": float,
    "ngram.weight": float,
    "ngram.order": int,
    "mc_dropout.weight": float,
}


def ngram_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where experts beside the model come from."""
    for option in (
        click.option(
            "--ensemble",
            multiple=True,
            metavar="FOLDER",
            type=click.Path(),
            help="Another model with the same tokenizer, or the folder of an ensemble; "
            "may be repeated.",
        ),
        click.option(
            "--train",
            "train_texts",
            multiple=True,
            metavar="TEXT",
            type=click.Path(),
            help="The text MODEL was trained on; may be repeated.",
        ),
        click.option(
            "--ngram",
            metavar="ARPA|fit",
            help="Mix in an n-gram model: an ARPA file, or `fit` for one of --train.",
        ),
        click.option(
            "--mc-dropout",
            type=click.IntRange(min=1),
            metavar="K",
            help="Average the probabilities of K passes with dropout.",
        ),
    ):
        command = option(command)
    return command


def model_folders(folder: str) -> list[str]:
    """Return the model folders of an ensemble; any other folder stands for itself."""
    from keras_rnnlm.models.ensemble_folder import is_ensemble, member_folders

    if not is_ensemble(Path(folder)):
        return [folder]
    return [str(member) for member in member_folders(Path(folder))]


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Read `--set KEY=VALUE` pairs.

    Raises:
        ConfigError: For an unknown key or a value of another kind.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or key not in KEYS:
            raise ConfigError(
                f"Expected --set KEY=VALUE with a key among {', '.join(KEYS)}; "
                f"received '{pair}'.{nearest(key, KEYS)}"
            )
        kind = KEYS[key]
        truths = {"true": True, "false": False}
        try:
            found[key] = truths[value.lower()] if kind is bool else kind(value)
        except (KeyError, ValueError):
            wanted = {float: "a number", int: "a whole number", bool: "true or false"}
            raise ConfigError(
                f"Expected {wanted[kind]} for {key}, received '{value}'."
            ) from None
    return found


def part(settings: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the settings of `name` without its prefix, its weight left out."""
    prefix = f"{name}."
    return {
        key.removeprefix(prefix): value
        for key, value in settings.items()
        if key.startswith(prefix) and key != f"{prefix}weight"
    }


def load_ngram(
    lm: "LanguageModel",
    wanted: str | None,
    train: Sequence[str],
    encoding: str,
    order: int | None = None,
) -> "NGramModel | None":
    """Return the n-gram model that `--ngram` asks for.

    Its `seconds` are those of all of this: with `fit`, of encoding the text as well.

    Raises:
        ConfigError: For an order below 1, or one of a model that is not fitted.
        InputError: For `fit` without a training text.
    """
    from keras_rnnlm.data.store import encode_files
    from keras_rnnlm.data.text import find_files
    from keras_rnnlm.scoring.additions import default_order
    from keras_rnnlm.scoring.ngram import NGramModel

    if order is not None and wanted != "fit":
        raise ConfigError(
            f"The order of an n-gram model is of --ngram fit; received {order} and "
            f"{'no --ngram' if wanted is None else wanted}. Leave one of them out."
        )
    if order is not None and order < 1:
        raise ConfigError(f"ngram.order takes 1 or more; received {order}.")
    if wanted is None:
        return None
    if wanted != "fit":
        model = NGramModel.read_arpa(wanted, lm.tokenizer)
        if model.left_out:
            click.echo(
                f"{wanted}: {count(model.left_out)} n-grams have words that the model "
                "lacks and are left out.",
                err=True,
            )
        return model
    if not train:
        raise InputError(
            "--ngram fit expects the text to count in, received none. Give it with "
            "--train, or an ARPA file."
        )
    begun = time.perf_counter()
    text = encode_files(find_files(list(train), encoding), lm.tokenizer)
    if order is None:
        order = default_order(lm.tokenizer.kind)
    model = NGramModel.fit(text, lm.tokenizer.vocabulary_size, order)
    return replace(model, seconds=time.perf_counter() - begun)


@contextmanager
def working(what: str) -> "Iterator[Callable[[str, int, int], None]]":
    """Show a bar for each part of the work, on a terminal.

    Args:
        what: Is done, such as `evaluating`.
    """
    from keras_rnnlm.cli.progress import reading

    with reading(what) as progress:
        yield lambda part, done, total: progress(done, total)


def line_rows(
    reports: "Sequence[LineReport]", static: float | None
) -> list[tuple[str, str]]:
    """Return (name, value) rows for the lines of a ladder.

    Args:
        reports: The lines.
        static: Perplexity of the model's plain figures. A first line that is a plain
            pass as well, under `carry` or of all models of an ensemble, is compared
            with it, and the others with that line.
    """
    rows = []
    for i, report in enumerate(reports):
        title = TITLES[report.line.name]
        gain = "" if static is None else f" ({report.perplexity / static - 1:+.1%})"
        if report.line.name == "static":  # the others read on as this one does
            static = report.perplexity
        rows.append(
            (
                f"{'+ ' if i else ''}{title}",
                f"{figure(report.perplexity)}{gain}, "
                f"{line_time(report.seconds, report.preparation_seconds)}"
                f"  [{_settings(report)}]",
            )
        )
    return rows


def _settings(report: "LineReport") -> str:
    """Return what the thing that a line adds is set to; the rest is in the JSON."""
    line, shares = report.line, dict(report.line.weights)
    d, cache = line.dynamic, line.cache
    if line.name == "dynamic" and d is not None:
        form = "scaled " if d.scaled else ""
        words = [f"{form}rate {d.rate:.3g}, decay {d.decay:.3g}, segment {d.segment}"]
    elif line.name == "cache" and cache is not None:
        words = [f"window {cache.window}, theta {cache.theta:.3g}"]
    elif line.name == "mc_dropout":
        words = [f"{line.passes} passes"]
    else:
        words = []
    # Those of an ensemble have a temperature of their own, and weights of its models.
    own = len(shares) == 1 or line.name in ("temperature", "dynamic")
    if line.gate is None and own and (line.temperature != 1 or not words):
        words.append(f"temperature {line.temperature:.3g}")
    if line.gate is not None:
        words.append(f"of {', '.join(shares)}")
    elif len(shares) > 1:
        words.append("weights " + ", ".join(f"{n} {w:.3g}" for n, w in shares.items()))
    return "; ".join(words)
