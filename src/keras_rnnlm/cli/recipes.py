"""`rnnlm recipes`: what recipes there are, and the file of one."""

import click

from keras_rnnlm.cli.base import Verb
from keras_rnnlm.config import recipe_names, recipe_text
from keras_rnnlm.recipe_files import expected_of


@click.command(cls=Verb, short_help="List the recipes, or print one.")
@click.argument("name", required=False)
def recipes(name: str | None) -> None:
    """List the recipes, or print the one called NAME.

    A recipe is a TOML file of settings. Use one with `rnnlm train --recipe NAME`, or
    save it, change it and give its path: `rnnlm recipes word > mine.toml`. Figures are
    those of its own text, command and machine, which its file names.
    """
    if name is not None:
        click.echo(recipe_text(name), nl=False)
        return
    known = recipe_names()
    width = max(map(len, known), default=0)
    for recipe in known:
        click.echo(f"{recipe:{width}}  {_summary(recipe_text(recipe))}")
        if (expected := expected_of(recipe)) is not None:
            click.echo(f"{'':{width}}  {expected.summary()}")


def _summary(text: str) -> str:
    """Return the first line of the comment that a recipe begins with."""
    first = text.lstrip().splitlines()[0] if text.strip() else ""
    return first.lstrip("# ").rstrip() if first.startswith("#") else ""
