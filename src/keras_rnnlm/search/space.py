"""What is searched: ranges and choices for any keys of a recipe.

`key=low:high[:log|:step]` is a range, `key=a,b,c` a choice. Without either the space is
built around the recipe, so that the recipe itself is always a point of it.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, TypeAlias, get_args, get_type_hints

from keras_rnnlm.config import Settings
from keras_rnnlm.errors import ConfigError, nearest
from keras_rnnlm.search import tune_conflicts
from keras_rnnlm.setting_checks import cell_defaults
from keras_rnnlm.setting_values import convert, parse_value

_RESERVED = MappingProxyType(
    {
        "network": "a search is of one kind of network: --set network=NAME",
        "minutes": "all trials have equal time: --trial-minutes",
        "max_steps": "all trials have equal budgets: --trial-minutes or --trial-steps",
        "epochs": "all trials have equal budgets: --trial-minutes or --trial-steps",
        "seed": "all trials have one seed: --seed",
        "protocol": "all trials are measured alike: --set protocol=NAME",
        "system_minutes": "trials are judged without it",
        "system_ngram_order": "trials are judged without it",
        "system_passes": "trials are judged without it",
    }
)
_TABLE = "cell_arguments"


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Attributes:
        low: The least.
        high: The greatest.
        log: Whether ratios count rather than differences.
        step: Distance of the values that are tried; None for all.
        whole: Whether they are whole numbers.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    def __contains__(self, value: Any) -> bool:
        """Whether a value can be drawn."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not self.low <= float(value) <= self.high:
            return False
        step = self.step or (1 if self.whole else None)
        if step is None:
            return True
        steps = (value - self.low) / step
        return bool(abs(steps - round(steps)) < 1e-6)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields for JSON."""
        return {"range": [self.low, self.high, self.log, self.step, self.whole]}

    def __str__(self) -> str:
        """Return it as `--search` takes it."""
        rest = ":log" if self.log else f":{self.step:g}" if self.step else ""
        return f"{self.low:g}:{self.high:g}{rest}"


@dataclass(frozen=True)
class Choice:
    """One of several values, in no order."""

    values: tuple[Any, ...]

    def __contains__(self, value: Any) -> bool:
        """Whether a value can be drawn."""
        return any(type(v) is type(value) and bool(v == value) for v in self.values)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields for JSON."""
        return {"choice": list(self.values)}

    def __str__(self) -> str:
        """Return it as `--search` takes it."""
        return tune_conflicts.words(self.values)


Dimension: TypeAlias = Range | Choice
Space: TypeAlias = Mapping[str, Dimension]


def in_steps(low: float, step: float, steps: int) -> float:
    """Return `low + steps * step` as decimals add up: six steps of 0.1 are 0.6."""
    return float(Decimal(str(low)) + steps * Decimal(str(step)))


def space_to_dict(space: Space) -> dict[str, Any]:
    """Return a space for JSON."""
    return {key: dimension.to_dict() for key, dimension in space.items()}


def space_from_dict(values: Mapping[str, Any]) -> dict[str, Dimension]:
    """Return the space that `space_to_dict` wrote."""
    return {
        key: Range(*value["range"])
        if "range" in value
        else Choice(tuple(value["choice"]))
        for key, value in values.items()
    }


def settings_at(base: Settings, point: Mapping[str, Any]) -> Settings:
    """Return settings with the values of a point.

    What the settings have for another output, optimizer or mode than the point's is
    left out.

    Raises:
        ConfigError: They cannot be together.
    """
    changes: dict[str, Any] = {}
    for key, value in point.items():
        table, dot, name = key.partition(".")
        if dot:
            known = changes.get(table) or getattr(base, table) or {}
            changes[table] = {**known, name: value}
        else:
            changes[table] = value
    return base.replace(**{**tune_conflicts.left_out(point), **changes})


def point_of(base: Settings, space: Space) -> dict[str, Any]:
    """Return what settings have for the keys of a space, inside of it or not."""
    point = {}
    for key in space:
        table, dot, name = key.partition(".")
        value = getattr(base, table)
        point[key] = (value or {}).get(name) if dot else value
    return point


def parse_search(
    items: Iterable[str], base: Settings, typed: Collection[str] = ()
) -> dict[str, Dimension]:
    """Read `--search`: `key=low:high`, `key=low:high:log`, `key=a,b,c`.

    Args:
        items: What was typed.
        base: Settings that the values are put into.
        typed: Names of those that are to hold in every trial.

    Raises:
        ConfigError: Something else, an unknown key, or a value that the setting cannot
            have, by itself or beside what was typed; or modes without a protocol.
    """
    found: dict[str, Dimension] = {}
    for item in items:
        key, equals, text = (part.strip() for part in item.partition("="))
        if not equals or not key or not text:
            raise ConfigError(
                "Expected key=low:high, key=low:high:log or key=a,b,c after --search; "
                f"received '{item}'. For example --search units=64:512:log."
            )
        _check_key(key, item)
        kinds = _kinds(key)
        words = text.split(":")
        numbers = not kinds or bool(kinds & {int, float})
        if len(words) in (2, 3) and numbers:
            whole = int in kinds if kinds else _may_be_whole(key, words, base)
            found[key] = _range(key, words, item, whole)
        else:
            found[key] = _choice(key, text, item)
        _check_values(key, found[key], base)
    choices = {k: d.values if isinstance(d, Choice) else () for k, d in found.items()}
    tune_conflicts.check_typed(choices, base, typed)
    tune_conflicts.check_protocol(choices, base)
    return found


def default_space(base: Settings, tokenizer: str) -> dict[str, Dimension]:
    """Return what is worth searching for a kind of text, around a recipe.

    Args:
        base: The recipe; it is a point of the space.
        tokenizer: Kind of tokenizer: `char`, `word`, `bpe` or `unigram`.

    The learning rate belongs to the recipe's optimizer and is a factor of it, from an
    eighth to four times. Sizes go from a third to three times. Regularisation that
    characters of a small text do not need is searched for words and pieces alone.
    """
    words = tokenizer != "char"
    space: dict[str, Dimension] = {}
    if base.network == "rnn" and not base.cell_arguments:  # which others do not have
        space["cell"] = _choices(base.cell, "lstm", "gru")
    if base.network == "transformer":
        heads = 2 * base.heads
        space["units"] = _grid(base.units, base.units / 3, base.units * 3, heads)
    else:
        step = 32 if base.units >= 128 else 8
        space["units"] = _grid(base.units, base.units / 3, base.units * 3, step)
    most = 3 if base.network == "rnn" else 8
    space["layers"] = Range(1, max(most, base.layers), whole=True)
    rate = base.learning_rate
    space["learning_rate"] = Range(_short(rate / 8), _short(rate * 4), log=True)
    space["dropout"] = Range(0.0, max(0.6, base.dropout))
    batch = base.batch_size
    space["batch_size"] = _choices(batch, max(1, batch // 2), 2 * batch, 4 * batch)
    if base.mode == "stream":
        space["steps"] = _choices(
            base.steps,
            max(4, base.steps // 2, 4 * base.steps_deviation),
            2 * base.steps,
        )
    if base.network == "rnn" and words:
        space["embedding"] = _choices(base.embedding, None, 64, 128)
        space["weight_dropout"] = Range(0.0, max(0.5, base.weight_dropout))
    if words:
        high = max(0.3, base.embedding_dropout)
        space["embedding_dropout"] = Range(0.0, high)
    return space


def _choices(*values: Any) -> Choice:
    """Return different values, numbers in order, `None` first."""
    different = list(dict.fromkeys(values))
    if all(value is None or isinstance(value, int) for value in different):
        different.sort(key=lambda value: -1 if value is None else value)
    return Choice(tuple(different))


def _grid(value: int, low: float, high: float, step: int) -> Range:
    """Return multiples of a step away from a value, about from low to high."""
    below = max(0, math.floor((value - low) / step))
    while value - below * step < 1:
        below -= 1
    above = max(math.floor((high - value) / step), 1 - below)  # two numbers at least
    return Range(value - below * step, value + above * step, step=step, whole=True)


def _short(number: float) -> float:
    """Three digits: what is printed can be typed again."""
    return float(f"{number:.3g}")


def _check_key(key: str, item: str) -> None:
    hints = get_type_hints(Settings)
    table, dot, _ = key.partition(".")
    if key in _RESERVED:
        raise ConfigError(f"--search {item}: {_RESERVED[key]}.")
    if dot and table == _TABLE:
        return
    if key not in hints or dot:
        raise ConfigError(
            f"Unknown setting '{key}' in --search {item}.{nearest(key, hints)} Known "
            f"settings: {', '.join(name for name in hints if name not in _RESERVED)}."
        )
    if _kinds(key) & {dict, tuple}:
        raise ConfigError(
            f"--search {item}: '{key}' is no single value. Search for parts of "
            f"{_TABLE}, such as {_TABLE}.rounds=2:5."
        )


def _kinds(key: str) -> set[Any]:
    """Return the types that a setting may have; nothing for a part of a table."""
    if "." in key:
        return set()
    hint = get_type_hints(Settings)[key]
    kinds = get_args(hint) or (hint,)
    return {getattr(kind, "__origin__", kind) for kind in kinds} - {type(None)}


def _may_be_whole(key: str, words: list[str], base: Settings) -> bool:
    """Whether a part of a table may be a whole number.

    It is real where its default is, or where an end of its range has a point: 0:1 of a
    real one would be 0 and 1 alone.
    """
    default = cell_defaults(base.cell).get(key.partition(".")[2])
    return not isinstance(default, float) and not any("." in w for w in words[:2])


def _range(key: str, words: list[str], item: str, whole: bool) -> Range:
    low, high = (_number(word, item) for word in words[:2])
    third = words[2].strip() if len(words) == 3 else ""
    log = third == "log"
    step = None if log or not third else _number(third, item)
    if not _kinds(key):
        whole = whole and all(float(n).is_integer() for n in (low, high, step or 0))
    if not math.isfinite(low) or not math.isfinite(high) or low >= high:
        raise ConfigError(f"--search {item}: expected low < high.")
    if log and low <= 0:
        raise ConfigError(f"--search {item}: a log range begins above 0.")
    if step is not None and not 0 < step <= high - low:
        raise ConfigError(
            f"--search {item}: expected a step above 0 and at most {high - low:g}."
        )
    if whole and not all(float(n).is_integer() for n in (low, high, step or 0)):
        raise ConfigError(f"--search {item}: '{key}' takes whole numbers.")
    if step is not None:  # the highest value that the steps meet
        high = in_steps(low, step, math.floor((high - low) / step + 1e-9))
    if whole:
        low, high, step = int(low), int(high), None if step is None else int(step)
    return Range(low, high, log, step, whole)


def _number(word: str, item: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise ConfigError(
            f"--search {item}: expected a number, received '{word.strip()}'. Ranges "
            "are key=low:high, key=low:high:log or key=low:high:step."
        ) from None


def _choice(key: str, text: str, item: str) -> Choice:
    hints = get_type_hints(Settings)
    values = [parse_value(word.strip()) for word in text.split(",") if word.strip()]
    if key in hints:
        values = [convert(key, value, hints[key]) for value in values]
    if not all(
        value is None or isinstance(value, str | int | float) for value in values
    ):
        raise ConfigError(
            f"--search {item}: expected numbers, words, true or false, received "
            f"{text}. Lists and tables are fixed by --set."
        )
    different = list(dict.fromkeys(values))
    if len({(isinstance(value, bool), value) for value in values}) > len(different):
        raise ConfigError(
            f"--search {item}: true and 1, or false and 0, count as one value. Leave "
            "one of them out."
        )
    if len(different) < 2:
        raise ConfigError(
            f"--search {item}: expected two values or more. To fix a setting use "
            f"--set {key}={text}."
        )
    return Choice(tuple(different))


def _check_values(key: str, dimension: Dimension, base: Settings) -> None:
    """Refuse values that the setting can have with no other settings either."""
    ends = (
        dimension.values
        if isinstance(dimension, Choice)
        else (dimension.low, dimension.high)
    )
    for value in ends:
        try:
            settings_at(base, {key: value})
        except ConfigError as error:
            # Others may go with a value of another key that is searched too.
            if str(error).startswith(f"Setting '{key}' takes"):
                raise ConfigError(f"--search {key}={dimension}: {error}") from error
