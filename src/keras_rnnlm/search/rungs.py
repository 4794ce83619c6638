"""Rungs: trials begin with a short budget, and the better ones are trained anew longer.

Each rung is a training of its own, from the first weights, with its own complete
learning-rate schedule: a schedule that falls to zero has to know its end, and weights
that were cooled down once are no beginning for a longer run. So figures of one rung are
figures at equal time, and those of the last one are those of the run one wants.

`asha` is successive halving without waiting (Li et al. 2020, "A system for massively
parallel hyperparameter tuning"), as Optuna does it: a trial goes on at once if it is
among the best 1/factor of those that have finished its rung by then, and ends if not.
`hyperband` (Li et al. 2018) hedges against short runs that mislead: trials are dealt
out to brackets that begin on different rungs, and compete within their own.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from keras_rnnlm.errors import ConfigError

PRUNERS = ("asha", "hyperband", "none")
MINUTES, STEPS = "minutes", "max_steps"
SHORTEST = 40.0
"""Seconds of the shortest rung made by default: starting and compiling take some 13,
and what is left has to tell good settings from bad ones."""
MOST_RUNGS = 3
_RUNGS_ASKED, _LARGEST_FACTOR = 20, 1000


@dataclass(frozen=True)
class Rungs:
    """The ladder of budgets.

    Attributes:
        unit: The setting that is the budget: `minutes` or `max_steps`.
        budgets: Of each rung, rising.
        factor: One in so many goes on.
        pruner: `asha`, `hyperband` or `none`.
    """

    unit: str
    budgets: tuple[float, ...]
    factor: int
    pruner: str

    @property
    def last(self) -> int:
        """Number of the last rung."""
        return len(self.budgets) - 1

    @property
    def seconds(self) -> tuple[float, ...] | None:
        """Seconds of each rung; None where budgets are steps."""
        if self.unit != MINUTES:
            return None
        return tuple(60.0 * budget for budget in self.budgets)

    def changes(self, rung: int) -> dict[str, Any]:
        """Return the settings that are the budget of a rung."""
        budget = self.budgets[rung]
        if self.unit == MINUTES:
            return {"minutes": budget, "max_steps": None}
        return {"minutes": None, "max_steps": int(budget)}

    def first(self, number: int) -> int:
        """Return the rung that a trial begins on: the number of its bracket."""
        if self.pruner != "hyperband":
            return 0
        order = bracket_order(len(self.budgets), self.factor)
        return order[number % len(order)]

    def compete(self, one: int, other: int) -> bool:
        """Whether two trials, by their numbers, are in one bracket."""
        return self.first(one) == self.first(other)

    def goes_on(self, rung: int, value: float, others: Iterable[float]) -> bool:
        """Whether a trial is trained on the next rung.

        Args:
            rung: The one it has finished.
            value: Its loss there.
            others: Losses of the trials of its bracket that have finished this rung.
        """
        if rung >= self.last or not math.isfinite(value):
            return False
        values = sorted([*others, value])
        # The first few: whoever is best so far, as in Optuna.
        kept = max(1, len(values) // self.factor)
        return value <= values[kept - 1]

    def text(self, rung: int) -> str:
        """Return the budget of a rung for people: `20 s`, `3 min` or `500 steps`."""
        return budget_text(self.unit, self.budgets[rung])

    def to_dict(self) -> dict[str, Any]:
        """Return all fields for JSON."""
        return {**vars(self), "budgets": list(self.budgets)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Rungs":
        """Return what `to_dict` wrote."""
        return cls(**{**values, "budgets": tuple(values["budgets"])})


def budget_text(unit: str, budget: float) -> str:
    """Return a budget for people."""
    if unit == STEPS:
        return f"{budget:,.0f} step{'s' * (budget != 1)}"
    seconds = 60.0 * budget
    return f"{seconds:.3g} s" if seconds < 120 else f"{budget:.3g} min"


def make_rungs(
    *,
    minutes: float | None = None,
    steps: int | None = None,
    pruner: str = "asha",
    factor: int = 3,
    number: int | None = None,
) -> Rungs:
    """Return the rungs below a longest budget.

    Args:
        minutes: Of a run on the last rung; or
        steps: its optimizer steps.
        pruner: `asha`, `hyperband` or `none`, which has the last rung alone.
        factor: Each rung is so many times as long as the one below.
        number: Of rungs; by default three, fewer where the first one would be shorter
            than 40 seconds.

    Raises:
        ConfigError: Impossible values.
    """
    if pruner not in PRUNERS:
        raise ConfigError(f"--pruner takes {', '.join(PRUNERS)}; received '{pruner}'.")
    if not 2 <= factor <= _LARGEST_FACTOR:
        raise ConfigError(
            f"--factor takes 2 or more, up to {_LARGEST_FACTOR}; received {factor}."
        )
    if (minutes is None) == (steps is None):
        raise ConfigError("Expected --trial-minutes or --trial-steps, one of them.")
    unit, longest = (MINUTES, minutes) if steps is None else (STEPS, steps)
    if longest is None or not 0 < longest < math.inf:
        raise ConfigError(f"The budget of a trial is above 0; received {longest}.")
    if pruner == "none":
        number = 1
    elif number is None:
        shortest = SHORTEST / 60 if unit == MINUTES else 1
        number = 1
        while number < MOST_RUNGS and longest / factor**number >= shortest:
            number += 1
    if not 1 <= number <= _RUNGS_ASKED:
        raise ConfigError(
            f"--rungs takes 1 or more, up to {_RUNGS_ASKED}; received {number}."
        )
    budgets = [longest / factor**k for k in reversed(range(number))]
    if unit == STEPS:
        budgets = [float(max(1, round(budget))) for budget in budgets]
        if len(set(budgets)) < number:
            raise ConfigError(
                f"{number} rungs need more than {longest} steps: the shorter ones "
                "would be equal."
            )
    return Rungs(unit, tuple(budgets), factor, pruner)


def bracket_order(rungs: int, factor: int) -> Sequence[int]:
    """Return brackets in the order in which trials are dealt out to them.

    Hyperband gives bracket s, which begins on rung s, ceil(R / (R - s) factor^(R-1-s))
    of every so many trials, R being the number of rungs: about equal time each.
    """
    share = [
        math.ceil(rungs / (rungs - s) * factor ** (rungs - 1 - s)) for s in range(rungs)
    ]
    total = sum(share)
    dealt = [0] * rungs
    order = []
    for place in range(1, total + 1):
        # Whoever is furthest behind; the longest runs last.
        behind = [place * share[s] / total - dealt[s] for s in range(rungs)]
        chosen = max(range(rungs), key=lambda s: (behind[s], -s))
        dealt[chosen] += 1
        order.append(chosen)
    return order
