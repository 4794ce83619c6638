"""Recipes: TOML files of settings, some of them shipped with the package."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from keras_rnnlm.errors import ConfigError, nearest


def default_recipe(tokenizer: str, network: str = "rnn") -> str:
    """Return the recipe used for a kind of tokenizer when none is named.

    A network that is not recurrent has a recipe of its own name, for any tokenizer.
    """
    if network != "rnn":
        return network
    return {"char": "char", "word": "word"}.get(tokenizer, "subword")


def recipe_names() -> list[str]:
    """Return the names of the recipes shipped with the package."""
    folder = resources.files("keras_rnnlm") / "recipes"
    return sorted(p.name[:-5] for p in folder.iterdir() if p.name.endswith(".toml"))


def recipe_text(name: str) -> str:
    """Return the TOML text of a shipped recipe."""
    if name not in recipe_names():
        raise ConfigError(
            f"Unknown recipe '{name}'.{nearest(name, recipe_names())} Shipped recipes: "
            f"{', '.join(recipe_names())}; or give the path of a .toml file."
        )
    return (resources.files("keras_rnnlm") / "recipes" / f"{name}.toml").read_text(
        encoding="utf-8"
    )


def read_recipe(recipe: str | Path) -> dict[str, Any]:
    """Return the keys and values of a shipped recipe or a TOML file."""
    path = Path(recipe)
    is_path = path.suffix == ".toml" or len(path.parts) > 1
    if is_path and not path.is_file():
        raise ConfigError(f"Recipe file '{recipe}' does not exist.")
    try:
        text = path.read_text(encoding="utf-8") if is_path else recipe_text(str(recipe))
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"Recipe '{recipe}' is not valid TOML: {error}.") from error
