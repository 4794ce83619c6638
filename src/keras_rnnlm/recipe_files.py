"""Recipes: TOML files of settings, some of them shipped with the package.

A shipped recipe may have a table `expected`, which is no setting: what the recipe
reached, on which text and machine, in how many seconds, with which seeds.
"""

import math
import statistics
import tomllib
from dataclasses import dataclass
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
        values = tomllib.loads(text)
    except ConfigError:
        raise
    except ValueError as error:  # no TOML, no UTF-8, or a number of 5,000 digits
        raise ConfigError(f"Recipe '{recipe}' is not valid TOML: {error}.") from error
    values.pop("expected", None)
    return values


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a recipe reached; lists have one figure for each of the seeds.

    Attributes:
        text: The text, and how it was divided.
        corpus: Short name of the text, as in the figures of other recipes.
        command: What was run.
        machine: Where.
        date: When, YYYY-MM-DD.
        seconds: The longest wall time of the whole command.
        seeds: The seeds.
        measure: What the figures are, such as `perplexity per word`.
        test: The plain forward pass on the test text.
        valid: The same on the validation text, if there is one beside.
        system: With all that is added at evaluation, on the test text.
        short: A shortened run for a nightly check: `max_steps`, the validation
            perplexity `valid` it ends with, and its relative `tolerance`.
    """

    text: str
    corpus: str
    command: str
    machine: str
    date: str
    seconds: float
    seeds: tuple[int, ...]
    measure: str
    test: tuple[float, ...]
    valid: tuple[float, ...] = ()
    system: tuple[float, ...] = ()
    short: dict[str, float] | None = None

    def summary(self) -> str:
        """Return the figures in a line; of characters, in bits too."""
        bits = self.measure.endswith("perplexity per character")
        parts = [_mean(self.test, bits)]
        if self.system:
            parts.append(f"{_mean(self.system, bits)} with all that evaluation adds")
        return f"{self.measure} {', '.join(parts)}; {self.seconds:,.0f} s"


def expected_of(name: str) -> Expected | None:
    """Return what a shipped recipe is known to reach; None where nothing is."""
    table = tomllib.loads(recipe_text(name)).get("expected")
    if table is None:
        return None
    lists = ("seeds", "test", "valid", "system")
    values: dict[str, Any] = {
        key: tuple(value) if key in lists else value for key, value in table.items()
    }
    return Expected(**values)


def _mean(figures: tuple[float, ...], bits: bool) -> str:
    """Return the mean and the deviation of perplexities, on request in bits too."""
    mean = statistics.fmean(figures)
    digits = 2 if mean >= 10 else 4
    spread = f" ± {statistics.stdev(figures):.{digits}f}" if len(figures) > 1 else ""
    written = f"{mean:.{digits}f}{spread}"
    if not bits:
        return written
    return f"{written} ({statistics.fmean(map(math.log2, figures)):.3f} bits)"
