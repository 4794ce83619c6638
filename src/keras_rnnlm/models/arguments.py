"""What the arguments of networks may be, whoever gives them: a program or a file."""

import reprlib
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from keras_rnnlm.errors import ConfigError


class _Kind(NamedTuple):
    """Values of one kind: what they are called, and whether a value is one."""

    name: str
    holds: Callable[[Any], bool]


def _whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


# Those of which a layer knows the range are only looked at for their type.
_WHOLE = _Kind("a whole number", _whole)
_COUNT = _Kind(
    "a whole number of 1 or more", lambda value: _whole(value) and value >= 1
)
_SEED = _Kind("a whole number of 0 or more", lambda value: _whole(value) and value >= 0)
_RATE = _Kind(
    "a number of at least 0 and below 1",
    lambda value: _number(value) and 0 <= value < 1,
)
_PENALTY = _Kind(
    "a number from 0 to 1e6", lambda value: _number(value) and 0 <= value <= 1e6
)
_FLAG = _Kind("True or False", lambda value: isinstance(value, bool | np.bool_))
_WORD = _Kind("a word", lambda value: isinstance(value, str))
_TABLE = _Kind(
    "a table such as {'rounds': 4}", lambda value: isinstance(value, Mapping)
)
_RANKS = _Kind(
    "a list of whole numbers",
    lambda value: isinstance(value, Iterable) and all(map(_whole, value)),
)

_KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "vocabulary_size": _COUNT,
        "cell": _WORD,
        "units": _WHOLE,
        "layers": _WHOLE,
        "heads": _WHOLE,
        "context": _WHOLE,
        "kernel_width": _WHOLE,
        "connections": _WORD,
        "attention": _WHOLE,
        "dropout": _RATE,
        "embedding_dropout": _RATE,
        "weight_dropout": _RATE,
        "activation_penalty": _PENALTY,
        "temporal_penalty": _PENALTY,
        "tie_weights": _FLAG,
        "output": _WORD,
        "low_rank": _WHOLE,
    }
)
_OR_NONE: Mapping[str, _Kind] = MappingProxyType(
    {
        "cell_arguments": _TABLE,
        "embedding": _COUNT,
        "vector_width": _COUNT,
        "projection": _COUNT,
        "input_dropout": _RATE,
        "output_dropout": _RATE,
        "output_cutoffs": _RANKS,
        "output_samples": _WHOLE,
        "mixtures": _WHOLE,
        "mixture_dropout": _RATE,
        "seed": _SEED,
    }
)


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments of a network that it would not take as they are meant.

    Some would be taken without a word and fail when they are used, such as a number of
    samples that is not whole.

    Args:
        arguments: By name; other names than those of networks' arguments do not matter.

    Raises:
        ConfigError: An argument is of another type, or out of its range.
    """
    for name, value in arguments.items():
        kind, end = _KINDS.get(name), ""
        if kind is None and value is not None:
            kind, end = _OR_NONE.get(name), ", or None"
        if kind is not None and not kind.holds(value):
            raise ConfigError(
                f"Expected {name} to be {kind.name}{end}; received "
                f"{reprlib.repr(value)}."
            )
