"""Who can be compared, and the settings each begins with.

A contestant is named after what makes it different: a recurrent cell, a network
without recurrence, or the n-gram model. Everything else of its settings comes from the
recipe for the kind of text: nothing is chosen for the time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from keras_rnnlm import cell_registry
from keras_rnnlm.config import (
    Settings,
    default_recipe,
    overridden,
    parse_overrides,
)
from keras_rnnlm.errors import ConfigError, nearest
from keras_rnnlm.network_settings import OWN
from keras_rnnlm.recipe_files import read_recipe
from keras_rnnlm.search import rules
from keras_rnnlm.setting_values import joined

NGRAM = "ngram"
NETWORKS = tuple(name for name in OWN if name != "rnn")
DEFAULT = (
    NGRAM,
    "simple_rnn",
    "lstm",
    "gru",
    "qrnn",
    "min_gru",
    *NETWORKS,
)

_ADAM: Mapping[str, Any] = MappingProxyType(
    {
        "optimizer": "adam",
        "learning_rate": 0.003,
        "schedule": "cosine",
        "warmup": 0.05,
        "clip_norm": 1.0,
    }
)
"""For cells with which plain SGD at a recipe's rate of 20 hardly learns: those whose
gates see their input alone, and with a rate of its own the one without gates."""

_RESERVED = MappingProxyType(
    {
        "network": "--models",
        "cell": "--models",
        "seed": "--seed and --seeds",
        "minutes": "--minutes",
    }
)
_BUDGETS = ("max_steps", "epochs")


@dataclass(frozen=True)
class Overrides:
    """Settings that beat the recipes.

    Attributes:
        general: For every contestant that has them.
        own: For one contestant, by its name.
    """

    general: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def names() -> tuple[str, ...]:
    """Return the names of all contestants: cells, other networks, the n-gram model."""
    return (*cell_registry.names(), *NETWORKS, NGRAM)


def check_names(given: Iterable[str]) -> tuple[str, ...]:
    """Return names that are all known and different.

    Raises:
        ConfigError: An unknown name, with the nearest; a name twice; no name at all.
    """
    found = tuple(given)
    known = names()
    for name in found:
        if name not in known:
            raise ConfigError(
                f"Expected models to be among {', '.join(known)}; received '{name}'."
                f"{nearest(name, known)}"
            )
    if twice := [name for name in dict.fromkeys(found) if found.count(name) > 1]:
        raise ConfigError(
            f"Expected different models, received '{twice[0]}' more than once. For "
            "several runs of each model give more seeds."
        )
    if not found:
        raise ConfigError(f"Expected one model or more; there are {', '.join(known)}.")
    return found


def parse_sets(items: Iterable[str], models: Iterable[str]) -> Overrides:
    """Read `key=value` for all models and `model.key=value` for one of them.

    Raises:
        ConfigError: Something else, or a model that takes no part.
    """
    models = tuple(models)
    general: list[str] = []
    own: dict[str, list[str]] = {}
    for item in items:
        first, dot, rest = item.strip().partition(".")
        if dot and first in names():
            if first not in models:
                raise ConfigError(
                    f"--set {item} is for the model '{first}', which takes no part: "
                    f"there are {', '.join(models)}. Add it to --models or leave the "
                    "setting out."
                )
            own.setdefault(first, []).append(rest)
        else:
            general.append(item)
    return Overrides(
        parse_overrides(general),
        {name: parse_overrides(given) for name, given in own.items()},
    )


def starting_settings(
    models: Iterable[str],
    tokenizer: str,
    overrides: Overrides | None = None,
    recipes: Iterable[str] = (),
) -> dict[str, Settings]:
    """Return the settings of each contestant, the n-gram model left out.

    Args:
        models: Names of contestants.
        tokenizer: Kind of tokenizer, which decides on the recipe.
        overrides: What beats the recipes. A general setting of one kind of network
            goes to contestants of that kind.
        recipes: Names or files of recipes to begin with in the place of the default
            ones, each for contestants of its own kind of network.

    Raises:
        ConfigError: A setting that is unknown, impossible, for nobody here, or not to
            be set in a comparison.
    """
    overrides = overrides or Overrides()
    bases = _given_recipes(recipes)
    networks = {name: _network(name) for name in models if name != NGRAM}
    _check_keys(overrides, set(networks.values()))
    found = {}
    for recipe, values in bases.items():
        if recipe not in networks.values():
            raise ConfigError(
                f"The recipe of a '{values.get('network', 'rnn')}' is for no model "
                "here. Leave it out, or add such a model."
            )
    for name, network in networks.items():
        values = bases.get(network) or _default_values(name, network, tokenizer)
        # Figures are plain ones, and a budget that was given is that of all.
        values = {**values, "network": network, "system_minutes": 0.0}
        if any(key in overrides.general for key in _BUDGETS):
            values = {
                k: v for k, v in values.items() if k not in ("minutes", *_BUDGETS)
            }
        general = {
            key: value
            for key, value in overrides.general.items()
            if _owner(key) in (None, network)
        }
        given = joined(general, overrides.own.get(name, {}))
        if network == "rnn":
            given["cell"] = name
        try:
            found[name] = Settings.from_dict(overridden(values, given))
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from error
    return found


def ngram_order(overrides: Overrides, default: int) -> int:
    """Return the order of the n-gram model: `ngram.order`, or the default.

    Raises:
        ConfigError: An order below 1, or another setting than `order`.
    """
    given = dict(overrides.own.get(NGRAM, {}))
    order = given.pop("order", default)
    if given:
        raise ConfigError(
            "The n-gram model has one setting, ngram.order; received "
            f"{', '.join(given)}."
        )
    if not isinstance(order, int) or isinstance(order, bool) or order < 1:
        raise ConfigError(
            f"Setting 'ngram.order' takes a whole number above 0; received {order!r}."
        )
    return order


def _network(name: str) -> str:
    return name if name in NETWORKS else "rnn"


def _owner(key: str) -> str | None:
    """Return the network that alone has a setting, None for one of all."""
    return next((network for network, keys in OWN.items() if key in keys), None)


def _given_recipes(recipes: Iterable[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for recipe in recipes:
        values = read_recipe(recipe)
        network = str(values.get("network", "rnn"))
        if network in found:
            raise ConfigError(
                f"Expected one recipe for each kind of network, received two for "
                f"'{network}'. Leave '{recipe}' out."
            )
        found[network] = values
    return found


def _default_values(name: str, network: str, tokenizer: str) -> dict[str, Any]:
    values = read_recipe(default_recipe(tokenizer, network))
    if network != "rnn":
        return values
    if rules.is_parallel(name):
        values["layers"] = max(rules.PARALLEL_LAYERS, values.get("layers", 1))
    if values.get("optimizer") == "sgd" and (
        name == rules.PLAIN or rules.is_parallel(name)
    ):
        values |= _ADAM
        if name == rules.PLAIN:
            values["learning_rate"] = rules.PLAIN_RATE
    return values


def _check_keys(overrides: Overrides, networks: set[str]) -> None:
    """Refuse general settings for nobody, and what a comparison sets by itself."""
    for name, own in overrides.own.items():
        for key in set(own) & set(_BUDGETS):
            raise ConfigError(
                f"All models have one budget; received {name}.{key}={own[key]}. Give "
                f"--set {key}={own[key]} for all of them."
            )
    for given in (overrides.general, *overrides.own.values()):
        if given.get("system_minutes"):
            raise ConfigError(
                "A comparison is of plain figures, without what evaluation adds: leave "
                "system_minutes out."
            )
    for given in (overrides.general, *overrides.own.values()):
        for key in given:
            if key in _RESERVED:
                raise ConfigError(
                    f"A comparison sets '{key}' by itself: use {_RESERVED[key]} in the "
                    f"place of --set {key}=..."
                )
    for key in overrides.general:
        owner = _owner(key)
        if owner is not None and owner not in networks:
            raise ConfigError(
                f"Setting '{key}' goes with network={owner}, and no model here is of "
                "that kind. Leave it out, or add such a model."
            )
