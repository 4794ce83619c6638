"""The values of settings: read from words, converted, checked."""

import sys
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from keras_rnnlm.errors import ConfigError, nearest


class Parts(dict[str, Any]):
    """Parts of a table that were given by themselves, as in `cell_arguments.rounds`."""


def parse_overrides(overrides: Iterable[str] | Mapping[str, Any]) -> dict[str, Any]:
    """Turn `key=value` strings into a mapping; values are read like TOML values.

    The values of `table.key=value` are `Parts`, unless the whole table is given too.
    """
    if isinstance(overrides, Mapping):
        return dict(overrides)
    values: dict[str, Any] = {}
    for item in overrides:
        name, equals, text = item.partition("=")
        if not equals or not name.strip():
            raise ConfigError(
                f"Expected key=value after --set, received '{item}'; "
                "for example --set units=512."
            )
        table, dot, key = name.strip().partition(".")
        value = parse_value(text.strip())
        if not dot:
            values[table] = value
            continue
        known = values.get(table, Parts())
        if known is not None and not isinstance(known, Mapping):
            raise ConfigError(
                f"Setting '{name.strip()}' is a part of a table; received "
                f"{table}={known} before it. Leave one of them out."
            )
        values[table] = {} if known is None else known
        values = joined(values, {table: Parts({key: value})})
    return values


def joined(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with others in their place; `Parts` leave the rest of a table."""
    found = {**values, **given}
    for name, value in given.items():
        known = values.get(name)
        if isinstance(value, Parts) and isinstance(known, Mapping):
            both = {**known, **value}
            found[name] = Parts(both) if isinstance(known, Parts) else both
    return found


def parse_value(text: str) -> Any:
    """Read a value as TOML does; a word alone is a string."""
    if text.lower() in ("none", "null", ""):
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except ValueError:  # no TOML, or a number of thousands of digits
        return text  # a bare word, such as lstm


def convert(name: str, value: Any, hint: Any) -> Any:
    """Return a value as the type that a setting has; raises `ConfigError`."""
    kinds = get_args(hint) or (hint,)
    if value is None and type(None) in kinds:
        return None
    if tuple[int, ...] in kinds:
        if (numbers := _whole_numbers(value)) is not None:
            return numbers
    elif tuple[str, ...] in kinds:
        if (words := _words(value)) is not None:
            return words or None
    elif dict[str, Any] in kinds:
        if isinstance(value, Mapping):
            return dict(value) or None
    elif isinstance(value, bool):
        if bool in kinds:
            return value
    elif isinstance(value, int) and abs(value) > sys.float_info.max:
        raise ConfigError(
            f"Setting '{name}' takes numbers of at most 308 digits; received a longer "
            "one."
        )
    else:
        if (
            int in kinds
            and isinstance(value, (int, float))
            and float(value).is_integer()
        ):
            return int(value)
        if float in kinds and isinstance(value, (int, float)):
            return float(value)
        if str in kinds and isinstance(value, str):
            return value
    wanted = " or ".join(
        {
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            str: "a word",
            dict[str, Any]: "a table such as {rounds = 4}",
            tuple[int, ...]: "whole numbers with commas between them",
            tuple[str, ...]: "words with commas between them",
        }.get(kind, "none")
        for kind in kinds
    )
    raise impossible(name, wanted, value)


def _whole_numbers(value: Any) -> tuple[int, ...] | None:
    """Return `2000`, `"2000,20000"` or `[2000, 20000]` as a tuple; None if neither."""
    if isinstance(value, str):
        value = value.split(",")
    elif not isinstance(value, list | tuple):
        value = [value]
    try:
        exact = not any(isinstance(v, bool | float) for v in value)
        return tuple(int(v) for v in value) if exact else None
    except (TypeError, ValueError):
        return None


def _words(value: Any) -> tuple[str, ...] | None:
    """Return `"nfkc,accents"` or `["nfkc", "accents"]` as a tuple; None if neither."""
    if isinstance(value, str):
        value = [word.strip() for word in value.split(",")]
    if not isinstance(value, list | tuple):
        return None
    return tuple(value) if all(isinstance(word, str) for word in value) else None


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `ConfigError` unless the value is one of the choices."""
    if value not in choices:
        raise ConfigError(
            f"Setting '{name}' takes one of {', '.join(choices)}; "
            f"received '{value}'.{nearest(value, choices)}"
        )


def check_least(name: str, value: float, least: float) -> None:
    """Raise `ConfigError` unless the value is at least `least`."""
    if not value >= least:
        raise impossible(name, f"at least {least}", value)


def check_range(
    name: str, value: float, low: float, high: float, open_end: bool = False
) -> None:
    """Raise `ConfigError` unless the value lies between the two bounds."""
    if not (low <= value < high or (value == high and not open_end)):
        bound = "below" if open_end else "at most"
        raise impossible(name, f"at least {low:g} and {bound} {high:g}", value)


def impossible(name: str, wanted: str, value: Any) -> ConfigError:
    """Return the error for a value that a setting cannot have."""
    return ConfigError(f"Setting '{name}' takes {wanted}; received {value!r}.")


def alike(one: Any, other: Any) -> bool:
    """Whether two values of JSON are equal, true and 1 being different ones.

    Word vectors that are frozen for one epoch are not frozen for good; for none, they
    are not frozen.
    """
    return bool(_marked(one) == _marked(other))


def _marked(value: Any) -> Any:
    if value is True:
        return ("true",)
    if isinstance(value, Mapping):
        return {key: _marked(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(each) for each in value]
    return value
