"""From what was asked for to the lines of a ladder.

Each thing that is asked for comes with the settings that were searched for the model,
else with defaults that are documented here and shown beside the figure:

| what            | default                                                    |
|-----------------|------------------------------------------------------------|
| dynamic         | `DynamicSettings()`, the plain form                          |
| cache           | `CacheSettings()`, weight 0.1                                |
| n-gram model    | weight 0.2; order 5, for characters 7                        |
| MC dropout      | in place of the plain pass; beside dynamic evaluation as much |
| ensemble        | all models the same weight                                   |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from keras_rnnlm.errors import ConfigError, InputError, nearest
from keras_rnnlm.scoring.cache import CacheSettings
from keras_rnnlm.scoring.learning import DynamicSettings
from keras_rnnlm.scoring.tuned import CACHE, DROPOUT, MODEL, NGRAM, Line, Tuned

CACHE_WEIGHT = 0.1
NGRAM_WEIGHT = 0.2


@dataclass(frozen=True)
class Additions:
    """What is to be added to a plain forward pass.

    Attributes:
        temperature: Of the softmax; None for 1, without a line.
        dynamic: True for dynamic evaluation with the model's own settings.
        cache: True for a continuous cache with the model's own settings.
        passes: Of Monte Carlo dropout; 0 for none.
        members: Names of the other models of an ensemble.
        ngram: Whether to mix in an n-gram model.
        weights: Of experts by name, which leaves the others their shares of the rest.
    """

    temperature: float | None = None
    dynamic: bool | DynamicSettings = False
    cache: bool | CacheSettings = False
    passes: int = 0
    members: Sequence[str] = ()
    ngram: bool = False
    weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        """Whether there is anything to add."""
        given = (self.dynamic, self.cache, self.passes, self.members, self.ngram)
        return self.temperature is not None or any(given)


def system_lines(tuned: Tuned | None) -> list[Line]:
    """Return the stored ladder.

    Raises:
        InputError: If nothing was searched for this model.
    """
    if tuned is None:
        raise InputError(
            "Expected a model whose settings for evaluation were searched, received "
            "one without. Run `rnnlm tune-evaluation MODEL VALIDATION-TEXT` first."
        )
    return list(tuned.lines)


def check_alone(asked: Additions) -> None:
    """Refuse settings beside the stored ladder, which has its own.

    Raises:
        ConfigError: For any but other models and an n-gram model.
    """
    given = {
        "temperature": asked.temperature is not None,
        "dynamic": asked.dynamic,
        "cache": asked.cache,
        "mc_dropout": asked.passes,
        "weights": asked.weights,
    }
    names = [name for name, value in given.items() if value]
    if names:
        raise ConfigError(
            "Expected `system` without settings of its parts, received also "
            f"{', '.join(names)}. Leave them out, or leave `system` out and name all "
            "that is to be added."
        )


def make_lines(
    additions: Additions,
    tuned: Tuned | None = None,
    networks: Sequence[str] = (MODEL,),
) -> list[Line]:
    """Return a ladder: each line has one thing more than the one before.

    Args:
        additions: What to add.
        tuned: The settings that were searched for the model, or None.
        networks: The experts that every line has: the model, and the members of an
            ensemble that is evaluated as one.

    Raises:
        ConfigError: For weights of experts that are not there, or that leave the
            model itself less than nothing.
    """
    temperature = 1.0 if additions.temperature is None else additions.temperature
    dynamic = _dynamic(additions.dynamic, tuned)
    cache = _cache(additions.cache, tuned)
    steps = [
        ("temperature", additions.temperature is not None, [MODEL]),
        ("dynamic", dynamic is not None, [MODEL]),
        (DROPOUT, additions.passes > 0, [DROPOUT]),
        ("ensemble", bool(additions.members), list(additions.members)),
        (CACHE, cache is not None, [CACHE]),
        (NGRAM, additions.ngram, [NGRAM]),
    ]
    _check_weights(additions, [expert for _, on, new in steps if on for expert in new])
    experts, learning, lines = list(networks), False, []
    for name, wanted, new in steps:
        if not wanted:
            continue
        learning = learning or name == "dynamic"
        experts += [expert for expert in new if expert not in experts]
        lines.append(
            Line(
                name,
                temperature,
                dynamic if learning else None,
                cache if CACHE in experts else None,
                additions.passes if DROPOUT in experts else 0,
                _weights(experts, learning, additions.weights, tuned),
            )
        )
    return lines


def _dynamic(
    given: bool | DynamicSettings, tuned: Tuned | None
) -> DynamicSettings | None:
    if isinstance(given, DynamicSettings) or not given:
        return given or None
    stored = [line.dynamic for line in tuned.lines if line.dynamic] if tuned else []
    return stored[-1] if stored else DynamicSettings()


def _cache(given: bool | CacheSettings, tuned: Tuned | None) -> CacheSettings | None:
    if isinstance(given, CacheSettings) or not given:
        return given or None
    stored = [line.cache for line in tuned.lines if line.cache] if tuned else []
    return stored[-1] if stored else CacheSettings()


def _check_weights(additions: Additions, experts: list[str]) -> None:
    for name, weight in additions.weights.items():
        if name not in experts:
            raise ConfigError(
                f"Expected weights of what is added ({', '.join(experts)}), received "
                f"one of '{name}'.{nearest(name, experts)}"
            )
        if not 0 <= weight < 1:
            raise ConfigError(
                f"Expected the weight of '{name}' to be at least 0 and below 1, "
                f"received {weight}."
            )


def _weights(
    experts: list[str],
    learning: bool,
    given: Mapping[str, float],
    tuned: Tuned | None,
) -> dict[str, float]:
    """Return the weights of a line's experts, with sum 1."""
    fixed = {name: given[name] for name in experts if name in given}
    if not fixed and tuned is not None:
        for line in tuned.lines:
            if set(line.weights) == set(experts):
                return dict(line.weights)
    for name, weight in ((CACHE, CACHE_WEIGHT), (NGRAM, NGRAM_WEIGHT)):
        if name in experts:
            fixed.setdefault(name, weight)
    rest = [name for name in experts if name not in fixed]
    # Thinned networks stand for the plain one, unless that goes on learning.
    if DROPOUT in rest and not learning:
        rest.remove(MODEL)
    left = 1 - sum(fixed.values())
    if left < 0 or not rest:
        raise ConfigError(
            f"Expected weights that leave the model a share, received {fixed}."
        )
    return {**{name: left / len(rest) for name in rest}, **fixed}


def default_order(kind: str) -> int:
    """Return the order of an n-gram model for a kind of tokenizer."""
    return 7 if kind == "char" else 5
