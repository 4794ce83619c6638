"""Settings for a text, a machine and a time, each with its reason.

The text is counted, the machine is measured by training on that very text for some
seconds, and the rest is arithmetic by `rules`, which come from our own sweeps
(`docs/choosing.md`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.text_facts import TextFacts, text_facts
from keras_rnnlm.data.vector_files import VectorFile
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.processor import usual_precision
from keras_rnnlm.search import rules
from keras_rnnlm.search.cost import FULL, HALF, Cost, measure_cost
from keras_rnnlm.training.memory import check_memory
from keras_rnnlm.training.range_test import RangeTest, range_test
from keras_rnnlm.training.validation import MOST_TOKENS


@dataclass(frozen=True)
class Choice:
    """Settings that were chosen together, and why.

    Attributes:
        settings: Names and values.
        reason: One sentence.
    """

    settings: Mapping[str, Any]
    reason: str


@dataclass(frozen=True)
class Suggestion:
    """A recipe with its reasons.

    Attributes:
        settings: The recipe.
        choices: What it is made of, in the order in which it was chosen.
        facts: The text.
        cost: The machine.
        tokens: Tokens that training will see.
        range_test: The range test, where one was asked for.
    """

    settings: Settings
    choices: tuple[Choice, ...]
    facts: TextFacts
    cost: Cost
    tokens: float
    range_test: RangeTest | None = None

    @property
    def passes(self) -> float:
        """Passes over the training text."""
        return self.tokens / self.facts.tokens

    def to_dict(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        ranged = self.range_test
        return {
            "settings": self.settings.to_dict(),
            "choices": [
                {"settings": dict(each.settings), "reason": each.reason}
                for each in self.choices
            ],
            "text": self.facts.to_dict(),
            "machine": self.cost.to_dict(),
            "tokens": round(self.tokens),
            "passes": self.passes,
            "range_test": None if ranged is None else ranged.to_dict(),
        }


Tell = Callable[[str], None]
_MEASURED = (128, 384)
"""Widths that the machine is measured with."""
_MEASURING = 1 / 3
"""Part of the time after which nothing more is measured, where the run has begun."""
_STARTUP = 10.0
"""Seconds of a run before its first step, and at its end."""


def suggest(
    corpus: Corpus,
    minutes: float,
    *,
    fixed: Mapping[str, Any] | None = None,
    with_range_test: bool = False,
    seconds: float = 2.0,
    spent: Callable[[], float] = lambda: 0.0,
    tell: Tell = lambda _: None,
) -> Suggestion:
    """Return a recipe for a text, this machine and a time.

    Args:
        corpus: The text; its training part is counted and trained on for a moment.
        minutes: Of the run that the recipe is for, evaluation included.
        fixed: Settings that are not to be chosen.
        with_range_test: Whether to let a learning-rate range test choose the rate.
        seconds: How long to measure each of three small networks.
        spent: Returns seconds of the minutes that are over, where the run has begun.
        tell: Called with sentences about what is done.

    Raises:
        ConfigError: Settings in `fixed` that cannot be.
    """
    fixed = dict(fixed or {})
    size = corpus.vocabulary_size
    facts = text_facts(corpus.train, corpus.tokenizer.kind, size)
    picked = _Picked(fixed, {"minutes": minutes, "layers": 1})
    base = rules.base(size, facts.kind, fixed)
    picked.add(base, _kind_reason(facts, base, "optimizer" in fixed))
    if picked.value("network") == "rnn":
        plain = picked.value("optimizer").lower() == "sgd"
        chosen = rules.cell(size, fixed.get("learning_rate", 0.0) if plain else 0.0)
        picked.add({"cell": chosen}, rules.CELL_REASONS[chosen])
    picked.add({"batch_size": rules.lanes(size, facts.tokens, 0.0)}, "")
    cost = _measured(
        corpus, picked, seconds, lambda: spent() > _MEASURING * 60 * minutes, tell
    )
    _add_validations(picked, minutes)
    scored = _scored(corpus, picked.value("validations"))
    whole = 60 * (minutes - float(picked.value("system_minutes")))
    over = _STARTUP + spent()

    def seen_with(units: int) -> float:
        settings = picked.measured(units=units)
        rest = whole - over - scored * cost.scoring_seconds(settings, size)
        return max(rest, 0.1 * whole) / cost.seconds(settings, size)

    units = fixed.get("units") or rules.units(size, facts.fresh, seen_with)
    while "units" not in fixed and not _fits(corpus, picked, units):
        units = max((u for u in rules.WIDTHS if u < units), default=0)
        if not units:
            raise ConfigError(
                f"A vocabulary of {size:,} does not fit into memory with "
                f"{rules.WIDTHS[0]} units. Take a smaller one: --vocabulary-size, or "
                "--tokenizer bpe."
            )
    picked.add({"units": units}, _units_reason(units, facts, seen_with, minutes))
    _add_depth(picked, seen_with(units) / facts.tokens)
    seen = seen_with(units)  # with the layers that were chosen
    passes = seen / facts.tokens
    lanes = rules.lanes(size, facts.tokens, seen)
    picked.add({"batch_size": lanes}, _lanes_reason(lanes, seen, picked))
    _add_dropout(picked, size, passes)
    found = None
    optimizer = picked.value("optimizer").lower()
    if with_range_test and "learning_rate" not in fixed:
        tell("Range test: the learning rate rises until the loss climbs.")
        middle = rules.of_optimizer(rules.MIDDLE, optimizer)
        found = range_test(corpus, picked.settings(learning_rate=middle))
        rate = rules.rate_of_range_test(found.lowest, optimizer)
        reason = (
            f"The loss was lowest at {found.lowest:.3g} while the rate rose; taken is "
            f"{rules.of_optimizer(rules.SHARE, optimizer):g} times that."
        )
    else:
        cell = picked.value("cell")
        updates = seen / (picked.value("batch_size") * picked.value("steps"))
        rate = rules.learning_rate(size, units, optimizer, cell, updates)
        if optimizer == "sgd":  # with momentum a step is so many times as long
            rate = float(f"{rate * (1 - picked.value('momentum')):.2g}")
        reason = rules.rate_reason(size, optimizer, cell)
    picked.add({"learning_rate": rate}, reason)
    return Suggestion(picked.settings(), picked.choices(), facts, cost, seen, found)


class _Picked:
    """Settings as they are chosen one after the other; the user's own beat them."""

    def __init__(self, fixed: Mapping[str, Any], start: Mapping[str, Any]) -> None:
        self.fixed, self._values = dict(fixed), {**start, **fixed}
        self._reasons: dict[str, str] = {}
        self._width: int | None = None

    def add(self, settings: Mapping[str, Any], reason: str) -> None:
        for name, value in settings.items():
            if name not in self.fixed:
                self._values[name] = value
                self._reasons[name] = reason

    def value(self, name: str) -> Any:
        return getattr(self.settings(), name)

    def settings(self, **changes: Any) -> Settings:
        return Settings.from_dict({**self._values, **changes})

    def measured(self, **changes: Any) -> Settings:
        """Return settings to measure the machine with.

        A file of word vectors may have gigabytes, and all that a step's time knows of
        it is its width.
        """
        settings = self.settings(**changes, system_passes=0)
        if settings.vectors is None:
            return settings
        if self._width is None:
            self._width = VectorFile(settings.vectors).width
        return settings.replace(
            embedding=settings.embedding or self._width,
            vectors=None,
            vectors_case="exact",
            vectors_normalize=None,
            vectors_frozen=False,
        )

    def choices(self) -> tuple[Choice, ...]:
        """Return settings with their reasons; those with one reason together."""
        grouped: dict[str, dict[str, Any]] = {}
        settings = self.settings()
        for name, reason in self._reasons.items():
            grouped.setdefault(reason, {})[name] = getattr(settings, name)
        if self.fixed:
            own = {name: getattr(settings, name) for name in self.fixed}
            grouped["Given, not chosen."] = own
        return tuple(Choice(values, reason) for reason, values in grouped.items())


def _measured(
    corpus: Corpus,
    picked: _Picked,
    seconds: float,
    late: Callable[[], bool],
    tell: Tell,
) -> Cost:
    """Measure this machine in both precisions; choose the quicker one."""
    widths = _widths(corpus, picked)
    tell(
        "Measuring this machine: training with "
        f"{' and '.join(map(str, widths))} units for a moment."
    )
    given = picked.value("precision") if "precision" in picked.fixed else None
    precisions = sorted((FULL, HALF), key=lambda p: p != usual_precision())
    start = picked.measured(units=widths[0], dropout=0.0, learning_rate=1e-3)
    cost = measure_cost(
        corpus, start, widths, precisions if given is None else [given], seconds, late
    )
    if given is None:
        picked.add({"precision": cost.precision}, _precision_reason(cost))
    return cost


def _precision_reason(cost: Cost) -> str:
    if cost.gain is None:
        return "What this processor is made for; there was no time to compare."
    if cost.precision == HALF:
        return f"bfloat16 products are {cost.gain:.1f} times as fast on this machine."
    return f"bfloat16 products are no faster on this machine ({cost.gain:.2f} times)."


def _widths(corpus: Corpus, picked: _Picked) -> tuple[int, ...]:
    """Return the widths to measure: that which was given, or two that fit."""
    if "units" in picked.fixed:
        return (picked.fixed["units"],)
    low, high = _MEASURED
    return (low, high) if _fits(corpus, picked, high) else (low,)


def _fits(corpus: Corpus, picked: _Picked, units: int) -> bool:
    try:
        check_memory(picked.measured(units=units), corpus.vocabulary_size)
    except ConfigError:
        return False
    return True


def _kind_reason(facts: TextFacts, base: Mapping[str, Any], given: bool) -> str:
    """Say why of optimizer, schedule and output.

    Args:
        facts: The text.
        base: What `rules.base` says.
        given: Whether the optimizer was not chosen.
    """
    unit = {"char": "characters", "word": "words"}.get(facts.kind, "pieces")
    types = f"{facts.vocabulary:,} different {unit}"
    if given:
        reason = f"For {types}, with the optimizer that was given"
    elif facts.kind == "char":
        reason = f"For {types} Adam ended best"
    elif base["optimizer"] == "adam":
        reason = f"For {types} and a cell that is not gated by its state, Adam"
    else:
        reason = (
            f"For {types} plain SGD, at a rate that only clipping makes possible, "
            "ended best"
        )
    if "state_reset" in base:
        reason += "; some windows begin from a zero state, as every text does"
    if "output" in base:
        reason += "; a softmax over a sample of them shortens each step"
    return f"{reason}."


def _units_reason(
    units: int,
    facts: TextFacts,
    seen_with: Callable[[int], float],
    minutes: float,
) -> str:
    seen = seen_with(units)
    passes = seen / facts.tokens
    return (
        f"{minutes:g} minutes are {seen / 1e6:.2g} million tokens with {units} units "
        f"here, {passes:.2g} passes; twice as wide sees "
        f"{seen_with(2 * units) / seen:.0%} of that, and the sweeps were best at "
        f"{rules.TOKENS_PER_SQUARE[rules.kind_of(facts.vocabulary)]:g} tokens for each "
        "element of a square of units."
    )


def _lanes_reason(lanes: int, seen: float, picked: _Picked) -> str:
    steps = seen / (lanes * picked.value("steps"))
    return f"{lanes} lanes make {steps:,.0f} updates of that."


def _add_depth(picked: _Picked, passes: float) -> None:
    if rules.is_parallel(picked.value("cell")):
        picked.add(
            {"layers": rules.PARALLEL_LAYERS},
            "The gates of such a cell see its input alone: layers above each other see "
            "further.",
        )
        return
    deep = passes >= rules.DEEP
    picked.add(
        {"layers": 2 if deep else 1},
        f"At {passes:.2g} passes "
        + (
            "there is time for a second layer."
            if deep
            else "a second layer costs more updates than it is worth."
        ),
    )


def _add_validations(picked: _Picked, minutes: float) -> None:
    judged = picked.value("schedule") == "plateau" or picked.value("patience") > 0
    picked.add(
        {"validations": 2 if minutes < 5 and not judged else 5},
        "Each validation takes time from training, and keeps the best weights.",
    )


def _scored(corpus: Corpus, validations: int) -> float:
    """Return how many tokens a run scores: at its validations and at its end."""
    held_out = {
        name: text.counts.tokens_predicted
        for name, text in corpus.parts().items()
        if name != "train"
    }
    each = min(held_out.get("valid", 0), MOST_TOKENS)
    return float(validations * each + sum(held_out.values()))


def _add_dropout(picked: _Picked, size: int, passes: float) -> None:
    rate, reason = rules.dropout(size, passes), _dropout_reason(size, passes)
    if picked.fixed.get("system_passes") and not rate:
        rate, reason = rules.LEAST_DROPOUT, "Evaluation is to read with dropout."
    picked.add({"dropout": rate}, reason)


def _dropout_reason(size: int, passes: float) -> str:
    if rules.dropout(size, passes) == 0:
        return f"In {passes:.2g} passes nothing is learned by heart."
    return f"In {passes:.2g} passes a network begins to learn its text by heart."
