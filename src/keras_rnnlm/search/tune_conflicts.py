"""Settings that do not go together where one of them is searched.

What a recipe has for another output, optimizer or mode than a trial is left out of that
trial. What was typed is to hold in all of them, and so is refused beside values that it
does not go with; and figures of all trials have to be of one protocol.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from keras_rnnlm.config import Settings
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.setting_checks import OF_OUTPUT, OF_STREAMS

_ADAMS = (
    "adam",
    "adamax",
    "adamw",
    "lamb",
    "lion",
    "muon",
    "nadam",
    "schedulefreeadamw",
)
OF_OPTIMIZER: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "momentum": ("sgd", "rmsprop", "muon"),
        "beta_1": _ADAMS,
        "beta_2": _ADAMS,
    }
)
"""Settings that some optimizers of Keras have; a worker finds it out without Keras."""
_DEFAULTS = MappingProxyType({f.name: f.default for f in fields(Settings)})


def left_out(point: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that do not go with the values of a point, as by default."""
    return {name: _DEFAULTS[name] for name in _foreign(point)}


def check_typed(
    choices: Mapping[str, Sequence[Any]], base: Settings, typed: Collection[str]
) -> None:
    """Refuse values that settings which were typed do not go with: those hold.

    Args:
        choices: Keys that are searched with their values; none for a range.
        base: Settings that they are put into.
        typed: Names of those that are to hold in every trial.

    Raises:
        ConfigError: There is such a value.
    """
    for key in ("optimizer", "mode"):
        values = choices.get(key, ())
        for value in values:
            for name in _foreign({key: value}):
                wanted = getattr(base, name)
                if name in choices or name not in typed or wanted == _DEFAULTS[name]:
                    continue
                raise ConfigError(
                    f"--search {key}={words(values)}: {key}={value} does not go with "
                    f"--set {name}={word(wanted)}. Leave one of them out, or put "
                    f"'{name}' into a --recipe: trials that it does not go with are "
                    "without it."
                )


def check_protocol(choices: Mapping[str, Sequence[Any]], base: Settings) -> None:
    """Refuse to search modes that would be evaluated in different ways.

    Args:
        choices: Keys that are searched with their values; none for a range.
        base: Settings that they are put into.

    Raises:
        ConfigError: There are such modes, and no protocol for all of them.
    """
    modes = choices.get("mode", ())
    if not modes or base.protocol is not None:
        return
    raise ConfigError(
        f"--search mode={words(modes)}: trials of mode=sentence would be evaluated "
        "line by line and the others as streams, and such figures cannot be "
        "compared. Give one protocol for all of them: --set protocol=sentence if the "
        "model is for single lines, else --set protocol=carry."
    )


def words(values: Sequence[Any]) -> str:
    """Return the values of a choice as `--search` takes them."""
    return ",".join(word(value) for value in values)


def word(value: Any) -> str:
    """Return a value as it is typed."""
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _foreign(point: Mapping[str, Any]) -> list[str]:
    """Return the names of settings that do not go with the values of a point."""
    found: list[str] = []
    if "output" in point:
        found += [name for name, of in OF_OUTPUT.items() if of != point["output"]]
    if "optimizer" in point:
        kind = str(point["optimizer"]).lower()
        found += [name for name, of in OF_OPTIMIZER.items() if kind not in of]
    if point.get("mode") == "sentence":
        found += OF_STREAMS
    return found
