"""Settings that belong together: refused where they contradict each other.

Each `check_` takes the settings and raises `ConfigError`.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from keras_rnnlm import cell_registry
from keras_rnnlm.errors import ConfigError, nearest
from keras_rnnlm.setting_values import check_range, impossible

OF_OUTPUT = {
    "output_cutoffs": "adaptive",
    "output_samples": "sampled",
    "mixtures": "mixture",
    "mixture_dropout": "mixture",
}
"""Settings that one kind of output has, and no other."""
NORMALIZATIONS = ("nfc", "nfkc", "accents", "quotes", "digits", "zeros")
"""Names that `vectors_normalize` takes; `data.vector_words` says what they do."""
OF_STREAMS = ("steps_deviation", "partial_shuffle", "state_reset")
"""Settings of the lanes of mode=stream."""


def cell_defaults(cell: str) -> dict[str, Any]:
    """Return the arguments of a cell by name, with their defaults.

    Raises:
        ConfigError: No cell has this name.
    """
    return cell_registry.settings(cell_registry.find(cell))


def arguments_for(cell: Any, arguments: Any) -> Any:
    """Return those of another cell's arguments that a cell has too.

    What is no name, or no table, is refused elsewhere.

    Raises:
        ConfigError: No cell has this name.
    """
    if not isinstance(cell, str) or not isinstance(arguments, Mapping):
        return arguments
    has = cell_defaults(cell)
    return {name: value for name, value in arguments.items() if name in has}


def check_finite(settings: Any) -> None:
    """Check that all numbers are finite, as JSON and TOML files have them."""
    values = dict(vars(settings))
    for name, value in (settings.cell_arguments or {}).items():
        values[f"cell_arguments.{name}"] = value
    for name, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise impossible(name, "a finite number", value)


def check_system(settings: Any) -> None:
    """Check the search for what is added at evaluation."""
    check_range("system_minutes", settings.system_minutes, 0.0, 1e6)
    check_range("system_passes", settings.system_passes, 0, 1000)
    rates = {name: rate for name, rate in vars(settings).items() if _thins(name)}
    if settings.system_passes and not any(rates.values()):
        raise ConfigError(
            "Setting 'system_passes' reads the text with the network's dropout; "
            f"received system_passes={settings.system_passes} and no dropout. Set "
            "dropout=0.2, or system_passes=0."
        )
    if settings.system_ngram_order is not None:
        check_range("system_ngram_order", settings.system_ngram_order, 0, 20)
    if settings.minutes is not None and settings.system_minutes >= settings.minutes:
        raise ConfigError(
            "Setting 'system_minutes' is a part of 'minutes'; received "
            f"system_minutes={settings.system_minutes:g}, "
            f"minutes={settings.minutes:g}. Give less of the one or more of the other."
        )


def _thins(name: str) -> bool:
    """Whether a setting is a rate of dropout in the network."""
    return name.endswith("dropout") and name != "bpe_dropout"


def check_output(settings: Any) -> None:
    """Check the output layer."""
    if settings.output == "adaptive" and settings.tie_weights:
        raise ConfigError(
            "Setting 'output' = adaptive has matrices of its own, of several "
            "widths; received tie_weights = true. Set tie_weights=false."
        )
    for name, owner in OF_OUTPUT.items():
        if getattr(settings, name) is not None and settings.output != owner:
            raise ConfigError(
                f"Setting '{name}' goes with output={owner}; received "
                f"output={settings.output}. Leave one of them out."
            )
    cutoffs = settings.output_cutoffs
    if cutoffs is not None and (
        not cutoffs or any(a >= b for a, b in pairwise((0, *cutoffs)))
    ):
        raise impossible("output_cutoffs", "rising numbers above 0", cutoffs)


def check_averaging(settings: Any) -> None:
    """Check averages of the weights."""
    kind = settings.averaging_kind
    if (kind == "ema") != (settings.average > 0):
        raise ConfigError(
            "Setting 'average' is the decay of averaging=ema; received "
            f"averaging={kind}, average={settings.average:g}. Give both, such as "
            "averaging=ema and average=0.999, or leave 'average' out."
        )
    if settings.average_start is None:
        return
    if kind not in ("ema", "swa"):
        raise ConfigError(
            "Setting 'average_start' goes with averaging=ema or averaging=swa; "
            f"received averaging={kind}. Leave it out."
        )
    check_range("average_start", settings.average_start, 0.0, 1.0, open_end=True)


def check_data(settings: Any) -> None:
    """Check the order and the noise of the data."""
    check_range("state_reset", settings.state_reset, 0.0, 1.0)
    if settings.mode == "sentence" and any(getattr(settings, n) for n in OF_STREAMS):
        raise ConfigError(
            "Settings 'steps_deviation', 'partial_shuffle' and 'state_reset' are "
            "about the lanes of mode=stream; received mode=sentence. Leave them "
            "out."
        )
    if 4 * settings.steps_deviation > settings.steps:
        raise impossible(
            "steps_deviation", "at most a quarter of 'steps'", settings.steps_deviation
        )
    check_range("noising_rate", settings.noising_rate, 0.0, 1.0)
    if (settings.noising == "none") != (settings.noising_rate == 0.0):
        raise ConfigError(
            "Settings 'noising' and 'noising_rate' belong together; received "
            f"noising={settings.noising}, noising_rate={settings.noising_rate:g}. Give "
            "both, such as noising=unigram and noising_rate=0.2."
        )
    check_range("bpe_dropout", settings.bpe_dropout, 0.0, 1.0)
    if settings.unigram_alpha is None:
        return
    check_range("unigram_alpha", settings.unigram_alpha, 0.0, 1000.0)
    if settings.bpe_dropout:
        raise ConfigError(
            "Setting 'bpe_dropout' is of --tokenizer bpe, 'unigram_alpha' of "
            f"--tokenizer unigram; received {settings.bpe_dropout:g} and "
            f"{settings.unigram_alpha:g}. Leave one of them out."
        )


def check_vectors(settings: Any) -> None:
    """Check word vectors to begin with."""
    try:
        str(settings.vectors or "").encode()
    except UnicodeEncodeError:
        raise ConfigError(
            "Setting 'vectors' takes a path that can be written as text, received "
            f"{settings.vectors!r}. Rename the file."
        ) from None
    frozen = settings.vectors_frozen
    if not isinstance(frozen, bool):
        check_range("vectors_frozen", frozen, 0.0, 1e9)
    for name in settings.vectors_normalize or ():
        if name not in NORMALIZATIONS:
            raise ConfigError(
                "Setting 'vectors_normalize' takes some of "
                f"{', '.join(NORMALIZATIONS)}; received '{name}'."
                f"{nearest(name, NORMALIZATIONS)}"
            )
    if settings.vectors is not None:
        return
    for name, default in (
        ("vectors_case", "exact"),
        ("vectors_normalize", None),
        ("vectors_frozen", False),
    ):
        if getattr(settings, name) != default:
            raise ConfigError(
                f"Setting '{name}' is about the file of word vectors that 'vectors' "
                "names; received none. Give one, such as vectors=glove.6B.100d.txt, or "
                f"leave '{name}' out."
            )
