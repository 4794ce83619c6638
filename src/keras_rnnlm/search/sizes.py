"""Equal sizes: the number of units that gives a model a wanted number of weights."""

import re
from collections.abc import Callable
from dataclasses import replace

from keras_rnnlm.config import Settings
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.training.weight_count import count_weights

MOST_UNITS = 1 << 17
TOLERANCE = 0.1
"""Largest relative difference between a wanted and a possible number of weights."""

_LARGEST_GRAIN = 256
_LARGEST = 1e15
_POWERS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9}


def parse_count(text: str) -> int:
    """Read a number of weights such as `24M`, `1.5m`, `300k` or `24,000,000`.

    Raises:
        ConfigError: It is none, or below 1.
    """
    bare = text.strip().replace(",", "").replace("_", "")
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([kmbg]?)", bare, re.IGNORECASE)
    number = float(match[1]) * _POWERS[match[2].lower()] if match else 0.0
    count = round(number) if number < _LARGEST else 0
    if count < 1:
        raise ConfigError(
            "Expected a number of weights such as 24M, 300k or 1_500_000; received "
            f"'{text}'."
        )
    return count


def solve_units(
    name: str,
    settings: Settings,
    vocabulary_size: int,
    target: int,
    vectors: int | None = None,
) -> Settings:
    """Return the settings with the units whose number of weights is nearest a target.

    Layers, heads and all else stay. Units are a multiple of what the heads of the
    network or of its cell need.

    Args:
        name: Of the model, for errors.
        settings: Of the network.
        vocabulary_size: Number of token ids, V.
        target: Wanted number of weights.
        vectors: As of `count_weights`.

    Raises:
        ConfigError: No number of units comes within a tenth of the target.
    """

    def count(units: int) -> int | None:
        try:
            wider = replace(settings, units=units)
            return count_weights(wider, vocabulary_size, vectors)
        except ConfigError:  # units that the heads do not divide
            return None

    grain = _grain(name, count)
    least = grain if count(grain) is not None else 2 * grain
    low, high = least, least
    while (count(high) or 0) < target and high < MOST_UNITS:
        low, high = high, 2 * high
    # count(low) <= target <= count(high) from here on, unless one end is out of reach.
    while high - low > grain:
        middle = (low + high) // 2 // grain * grain
        if (count(middle) or 0) < target:
            low = middle
        else:
            high = middle
    units = min((low, high), key=lambda u: abs((count(u) or 0) - target))
    nearest = count(units) or 0
    if abs(nearest - target) > TOLERANCE * target:
        raise ConfigError(_out_of_reach(name, vocabulary_size, target, units, nearest))
    return settings.replace(units=units)


def _grain(name: str, count: Callable[[int], int | None]) -> int:
    """Return the number of which units must be a multiple."""
    for grain in range(1, _LARGEST_GRAIN + 1):
        # A single multiple may be refused for being too narrow.
        if all(count(multiple * grain) is not None for multiple in (2, 3, 4, 5)):
            return grain
    raise ConfigError(
        f"No number of units is possible for '{name}' with its other settings, so none "
        "can be solved for. Look at its heads and at what was --set."
    )


def _out_of_reach(
    name: str, vocabulary_size: int, target: int, units: int, nearest: int
) -> str:
    if nearest > target:
        cure = (
            f"a vocabulary of {vocabulary_size:,} tokens takes most of that. Ask for "
            "more --parameters, or take a smaller --vocabulary-size or --tokenizer char"
        )
    else:
        cure = "more units are not allowed. Ask for fewer --parameters or more layers"
    return (
        f"Expected --parameters that '{name}' can have, received {target:,}: the "
        f"nearest is {nearest:,}, with {units} units; {cure}."
    )
