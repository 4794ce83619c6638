"""`--example`: what a model has just read counts in what it scores or writes next."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from keras_rnnlm.language_model import LanguageModel


def example_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--example FILE` and `--by` to a verb."""
    for option in (
        click.option(
            "--by",
            type=click.Choice(("dynamic", "cache")),
            default="dynamic",
            show_default=True,
            help="How the example counts: the model learns from it, or a cache "
            "remembers its words.",
        ),
        click.option(
            "--example",
            metavar="FILE",
            type=click.Path(),
            help="A text to take after, one line or more, read once before all else.",
        ),
    ):
        command = option(command)
    return command


def after_example(
    lm: "LanguageModel", example: str | None, by: str, encoding: str = "utf-8"
) -> "LanguageModel":
    """Return the model after the example; the model itself where there is none."""
    if example is None:
        return lm
    from keras_rnnlm.data.text import find_files

    text = "".join(file.read() for file in find_files([example], encoding))
    return lm.learn_from(text) if by == "dynamic" else lm.with_cache(text)
