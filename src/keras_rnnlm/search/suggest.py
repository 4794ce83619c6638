"""Settings for a text, a machine and a time, each with its reason.

The text is counted, the machine is measured by training on that very text for some
seconds, and the rest is arithmetic by `rules`, which come from our own sweeps
(`docs/choosing.md`).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.text_facts import TextFacts, text_facts
from keras_rnnlm.data.vector_files import VectorFile
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.processor import usual_precision
from keras_rnnlm.search import reasons, rules
from keras_rnnlm.search.cost import FULL, HALF, Cost, measure_cost
from keras_rnnlm.search.evaluation_cost import evaluation_seconds
from keras_rnnlm.training.memory import check_memory
from keras_rnnlm.training.range_test import RangeTest, range_test


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
    _add_kind(picked, facts)
    picked.add({"batch_size": rules.lanes(size, facts.tokens, 0.0)}, "")
    whole = 60 * (minutes - float(picked.value("system_minutes")))
    cost = _measured(
        corpus, picked, seconds, lambda: spent() > _MEASURING * whole, tell
    )
    _add_validations(picked, minutes)
    over = _STARTUP + spent()

    def seen_with(units: int) -> float:
        settings = picked.measured(units=units)
        rest = whole - over - evaluation_seconds(corpus, settings, cost)
        return max(rest, 0.1 * whole) / cost.seconds(settings, size)

    _add_cell_of_long_runs(picked, corpus, facts, seen_with)
    units, bound = _width(picked, corpus, facts, seen_with)
    reason = reasons.of_units(units, facts, seen_with, minutes, bound)
    picked.add({"units": units}, reason)
    _add_layers(picked, seen_with(units) / facts.tokens)
    _add_lanes(picked, size, facts, seen_with)
    fitting = _widest(corpus, picked, units) if "units" not in fixed else units
    bound = "memory" if fitting < units else bound
    # Layers change what is seen.
    reason = reasons.of_units(fitting, facts, seen_with, minutes, bound)
    picked.add({"units": fitting}, reason)
    seen = seen_with(picked.value("units"))
    _add_dropout(picked, size, seen / facts.tokens)
    found = None
    optimizer = picked.value("optimizer").lower()
    if with_range_test and "learning_rate" not in fixed:
        tell("Range test: the learning rate rises until the loss climbs.")
        middle = rules.of_optimizer(rules.MIDDLE, optimizer)
        found = range_test(corpus, picked.settings(learning_rate=middle))
        rate = rules.rate_of_range_test(found.lowest, optimizer)
        reason = reasons.of_range_test(found.lowest, optimizer)
    else:
        settings = picked.settings()
        updates = seen / (settings.batch_size * settings.steps)
        rate = rules.learning_rate(size, settings, updates)
        reason = reasons.of_rate(size, settings)
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
                if reason:  # else it is to be chosen later
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
        picked.add({"precision": cost.precision}, reasons.of_precision(cost))
    return cost


def _widths(corpus: Corpus, picked: _Picked) -> tuple[int, ...]:
    """Return the widths to measure: that which was given, or one or two that fit."""
    if "units" in picked.fixed:
        return (picked.fixed["units"],)
    low, high = _MEASURED
    if _fits(corpus, picked, high):
        return (low, high)
    return (_widest(corpus, picked, low),)


def _widest(corpus: Corpus, picked: _Picked, most: int) -> int:
    """Return the greatest width up to `most` that fits into memory.

    Raises:
        ConfigError: None does.
    """
    for units in sorted((u for u in rules.WIDTHS if u <= most), reverse=True):
        if _fits(corpus, picked, units):
            return units
    raise ConfigError(
        f"A vocabulary of {corpus.vocabulary_size:,} does not fit into memory with "
        f"{rules.WIDTHS[0]} units. Take a smaller one: --vocabulary-size, or "
        "--tokenizer bpe."
    )


def _fits(corpus: Corpus, picked: _Picked, units: int) -> bool:
    try:
        settings = picked.measured(units=units)
        check_memory(settings, corpus.vocabulary_size, text=corpus.train)
    except ConfigError:
        return False
    return True


def _add_kind(picked: _Picked, facts: TextFacts) -> None:
    """Choose what hangs on the kind of text alone."""
    size, fixed = facts.vocabulary, picked.fixed
    base = rules.base(size, facts.kind, fixed)
    picked.add(base, reasons.of_kind(facts, base, "optimizer" in fixed))
    picked.add({"steps": base["steps"]}, reasons.of_window(base["steps"]))
    if picked.value("network") != "rnn":
        return
    plain = picked.value("optimizer").lower() == "sgd"
    chosen = rules.cell(size, fixed.get("learning_rate", 0.0) if plain else 0.0)
    picked.add({"cell": chosen}, reasons.CELL[chosen])
    if rules.is_parallel(picked.value("cell")):
        picked.add({"layers": rules.PARALLEL_LAYERS}, reasons.of_layers(0.0, True))
    if picked.value("tie_weights") and picked.value("vectors") is None:
        picked.add({"embedding": None}, reasons.EMBEDDING)


def _add_cell_of_long_runs(
    picked: _Picked, corpus: Corpus, facts: TextFacts, seen_with: Callable[[int], float]
) -> None:
    """Choose the cell of words in long runs, if a run of it is one.

    It has more gates than that of short runs, so that there are fewer passes. What
    counts is the run of one layer, or of as many as are given: a second one is chosen
    later.
    """
    usual, long = picked.value("cell"), rules.LONG[0]
    of_words = rules.kind_of(facts.vocabulary) == "many"
    plain = picked.value("optimizer").lower() == "sgd"
    given = {"cell", "learning_rate"} & set(picked.fixed)
    if given or not (plain and of_words) or picked.value("network") != "rnn":
        return
    picked.add({"cell": long}, reasons.LONG_CELL)
    seen = seen_with(_width(picked, corpus, facts, seen_with)[0])
    lanes = rules.lanes(facts.vocabulary, facts.tokens, seen)
    lanes = picked.fixed.get("batch_size", lanes)
    updates = seen / (lanes * picked.value("steps"))
    if not rules.is_long(seen / facts.tokens, updates):
        picked.add({"cell": usual}, reasons.CELL[usual])


def _width(
    picked: _Picked, corpus: Corpus, facts: TextFacts, seen_with: Callable[[int], float]
) -> tuple[int, str | None]:
    """Return the width, and what kept it from being greater: see `reasons.of_units`."""
    if "units" in picked.fixed:
        return picked.fixed["units"], None
    size = corpus.vocabulary_size
    wanted = rules.units(size, facts.fresh, seen_with)
    units = _widest(corpus, picked, wanted)
    if units < wanted:
        return units, "memory"
    free = rules.units(size, math.inf, seen_with)
    return units, "text" if wanted < free else None


def _add_layers(picked: _Picked, passes: float) -> None:
    if not rules.is_parallel(picked.value("cell")):
        layers = 2 if passes >= rules.DEEP else 1
        picked.add({"layers": layers}, reasons.of_layers(passes, False))


def _add_lanes(
    picked: _Picked, size: int, facts: TextFacts, seen_with: Callable[[int], float]
) -> None:
    seen = seen_with(picked.value("units"))
    lanes = rules.lanes(size, facts.tokens, seen)
    updates = seen / (lanes * picked.value("steps"))
    picked.add({"batch_size": lanes}, reasons.of_lanes(lanes, updates))


def _add_validations(picked: _Picked, minutes: float) -> None:
    judged = picked.value("schedule") == "plateau" or picked.value("patience") > 0
    number = 2 if minutes < 5 and not judged else 5
    picked.add({"validations": number}, reasons.VALIDATIONS)


def _add_dropout(picked: _Picked, size: int, passes: float) -> None:
    rate, reason = rules.dropout(size, passes), reasons.of_dropout(size, passes)
    if picked.fixed.get("system_passes") and not rate:
        rate, reason = rules.LEAST_DROPOUT, "Evaluation is to read with dropout."
    picked.add({"dropout": rate}, reason)
