"""What a comparison will do: models, budget, sizes, seeds and trials, all checked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.vector_files import VectorFile
from keras_rnnlm.errors import ConfigError, InputError
from keras_rnnlm.scoring.additions import default_order
from keras_rnnlm.search.contestants import (
    NGRAM,
    Overrides,
    check_names,
    ngram_order,
    starting_settings,
)
from keras_rnnlm.search.sizes import solve_units
from keras_rnnlm.training.memory import check_memory
from keras_rnnlm.training.optimizers import build_optimizer

_OF_TRIALS = 10_000
"""Trials have a seed far from those of final runs: settings that were lucky with one of
these would look better than they are."""


@dataclass(frozen=True)
class Plan:
    """A comparison before its first run.

    Attributes:
        models: Names of the contestants, in the order in which they run.
        settings: Of each network, by name; seeds and trials come to them.
        order: Of the n-gram model.
        seeds: Of the final runs; the n-gram model has none and runs once.
        trials: Of each model, judged on the validation text; 0 leaves the settings as
            they are.
        parameters: Number of weights that units were solved for, or None.
    """

    models: tuple[str, ...]
    settings: Mapping[str, Settings]
    order: int
    seeds: tuple[int, ...]
    trials: int = 0
    parameters: int | None = None

    @property
    def trial_seed(self) -> int:
        """Seed of all trials."""
        return _OF_TRIALS + self.seeds[0]

    @property
    def network_runs(self) -> int:
        """Number of runs of networks."""
        return len(self.settings) * (self.trials + len(self.seeds))

    @property
    def total_runs(self) -> int:
        """Number of all runs, those of the n-gram model included."""
        return self.network_runs + (NGRAM in self.models) * (self.trials + 1)

    @property
    def minutes(self) -> float | None:
        """Minutes that all runs of networks take; None if some are not timed."""
        each = [settings.minutes for settings in self.settings.values()]
        if any(minutes is None for minutes in each):
            return None
        runs = self.trials + len(self.seeds)
        return runs * sum(minutes for minutes in each if minutes is not None)

    def to_dict(self) -> dict[str, Any]:
        """Return what a record says of it, ready for JSON."""
        return {
            "models": list(self.models),
            "seeds": list(self.seeds),
            "trials": self.trials,
            "parameters": self.parameters,
        }


def make_plan(
    corpus: Corpus,
    models: Iterable[str],
    *,
    minutes: float | None = None,
    overrides: Overrides | None = None,
    recipes: Iterable[str] = (),
    parameters: int | None = None,
    seeds: int = 1,
    first_seed: int = 0,
    trials: int = 0,
) -> Plan:
    """Settle the settings of every run, and refuse what cannot be compared.

    Args:
        corpus: The text; needs a validation part.
        models: Names of contestants.
        minutes: Budget of each run of a network; without it that of the settings
            (`max_steps`, else `epochs`) counts.
        overrides: Settings that beat the recipes.
        recipes: To begin with in the place of the default ones.
        parameters: Wanted number of weights of each network; without it each has the
            size of its recipe.
        seeds: Number of final runs of each network.
        first_seed: Their seeds are this one and those after it.
        trials: Of each model.

    Raises:
        ConfigError: Unknown models or settings, sizes that cannot be reached, or a
            network that does not fit into memory, or protocols that differ.
        InputError: No validation text.
    """
    overrides = overrides or Overrides()
    chosen = check_names(models)
    _check_texts(corpus)
    if seeds < 1 or trials < 0:
        raise ConfigError(
            f"Expected 1 seed and 0 trials or more; received {seeds} and {trials}."
        )
    kind, vocabulary_size = corpus.tokenizer.kind, corpus.vocabulary_size
    settings = starting_settings(chosen, kind, overrides, recipes)
    _check_protocols(settings)
    for name, given in settings.items():
        if minutes is not None:
            given = given.replace(minutes=minutes, max_steps=None)
        if parameters is not None:
            _check_free(overrides, name)
            width = None if given.vectors is None else VectorFile(given.vectors).width
            given = solve_units(name, given, vocabulary_size, parameters, width)
        build_optimizer(given)
        check_memory(given, vocabulary_size, text=corpus.train)
        settings[name] = given
    return Plan(
        chosen,
        settings,
        ngram_order(overrides, default_order(kind)),
        tuple(range(first_seed, first_seed + seeds)),
        trials,
        parameters,
    )


def _check_protocols(settings: Mapping[str, Settings]) -> None:
    found = {name: each.evaluation_protocol for name, each in settings.items()}
    if len(set(found.values())) > 1:
        shown = ", ".join(f"{name} by {p or 'default'}" for name, p in found.items())
        raise ConfigError(
            "A comparison evaluates all models under one protocol; the recipes have "
            f"{shown}. Give one for all, such as --set protocol=sentence."
        )


def _check_texts(corpus: Corpus) -> None:
    if corpus.valid is None:
        raise InputError(
            "A comparison needs validation text: it decides which weights and which "
            "trials are best. Give --valid FILE, or a --split of three parts such as "
            "0.8,0.1,0.1."
        )


def _check_free(overrides: Overrides, name: str) -> None:
    for given in (overrides.general, overrides.own.get(name, {})):
        if "units" in given:
            raise ConfigError(
                f"--parameters solves for the units of '{name}', which are also set to "
                f"{given['units']}. Leave one of them out."
            )
