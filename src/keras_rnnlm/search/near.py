"""Points near good ones: what `--sampler near` draws.

Some dozens of trainings are too few to learn how ten settings act together, and most of
what is drawn anywhere is far worse than the recipe that a search begins with. So each
trial is a good earlier one with one or a few settings changed: mutation without
crossover, as in evolution strategies (Beyer and Schwefel 2002) and in Real et al. 2019,
"Regularized evolution for image classifier architecture search".
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from keras_rnnlm.search.space import Choice, Dimension, Range, Space, in_steps
from keras_rnnlm.search.study import Record, by_merit

CHANGED, MOST = 2.0, 0.5
"""Settings that are changed in the mean, and the greatest probability of each; at least
one is."""
WIDTH = 0.2
"""Standard deviation of the change of a number, as a part of its range."""
PARENT = 0.5
"""The best is changed with this probability, else the second with this one, ..."""
_DRAWS = 100
"""Draws for a point that is new; each looks a little further than the one before."""
_FURTHER = 1.05
_FAR = 2 * WIDTH
"""Width from which on a choice of numbers may change to any, not to a neighbour."""


def near_point(
    space: Space,
    start: Mapping[str, Any],
    trials: Iterable[Record],
    seed: int,
    number: int,
) -> dict[str, Any]:
    """Return a new point near a good one; near the start where none has a figure yet.

    Args:
        space: Keys with what they may be.
        start: A point of it.
        trials: Of the search so far.
        seed: Of the search.
        number: Of the trial that is to have the point.
    """
    trials = list(trials)
    parents = [trial.params for trial in by_merit(trials)] or [dict(start)]
    random = np.random.default_rng((seed, number))
    known = [trial.params for trial in trials if trial.number != number]
    for draw in range(_DRAWS):
        place = int(random.geometric(PARENT)) - 1
        parent = parents[min(place, len(parents) - 1)]
        point = changed(space, parent, random, WIDTH * _FURTHER**draw)
        if point not in known:
            break
    return point


def inside(space: Space, point: Mapping[str, Any]) -> dict[str, Any]:
    """Return a point, and for what is outside of the space the value next to it."""
    return {key: _inside(space[key], point[key]) for key in space}


def changed(
    space: Space, point: Mapping[str, Any], random: np.random.Generator, width: float
) -> dict[str, Any]:
    """Return a point with one or a few values changed.

    Args:
        space: Keys with what they may be.
        point: A value for each key.
        random: Of the draw.
        width: Standard deviation of the change of a number, as a part of its range.
    """
    keys = list(space)
    picked = random.random(len(keys)) < min(MOST, CHANGED / len(keys))
    if not picked.any():
        picked[random.integers(len(keys))] = True
    return {
        key: _moved(space[key], point[key], random, width) if move else point[key]
        for key, move in zip(keys, picked, strict=True)
    }


def _moved(
    dimension: Dimension, value: Any, random: np.random.Generator, width: float
) -> Any:
    if isinstance(dimension, Choice):
        return _other(dimension, value, random, width)
    return _shifted(dimension, value, float(random.normal(0.0, width)))


def _other(
    choice: Choice, value: Any, random: np.random.Generator, width: float
) -> Any:
    """Return another value: of numbers a neighbour, of anything else any."""
    others = [each for each in choice.values if each != value]
    kinds = {type(each) for each in choice.values}
    if kinds <= {int, float} and width < _FAR:
        above = [each for each in others if each > value]
        below = [each for each in others if each < value]
        others = [*(above and [min(above)]), *(below and [max(below)])]
    return others[random.integers(len(others))]


def _shifted(of: Range, value: float, by: float) -> float:
    """Return a number moved by a part of its range, back from the ends as in a mirror.

    Where only some numbers can be, it is the nearest of them, another one than before.
    """
    low, high = (math.log(x) if of.log else float(x) for x in (of.low, of.high))
    place = ((math.log(value) if of.log else value) - low) / (high - low)
    turned = (place + by) % 2.0
    moved = low + (high - low) * min(turned, 2.0 - turned)
    found = math.exp(moved) if of.log else moved
    step = _step(of)
    if step is None:
        return min(max(found, of.low), of.high)
    most, before, steps = (round((x - of.low) / step) for x in (of.high, value, found))
    if steps == before:
        steps += 1 if (by > 0 and before < most) or before == 0 else -1
    return _at(of, step, min(max(steps, 0), most))


def _inside(dimension: Dimension, value: Any) -> Any:
    if value in dimension:
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(dimension, Choice):
        numbers = [v for v in dimension.values if type(v) is type(value)]
        if number and numbers:
            return min(numbers, key=lambda each: abs(each - value))
        return dimension.values[0]
    if not number:
        return dimension.low
    found = min(max(value, dimension.low), dimension.high)
    step = _step(dimension)
    if step is None:
        return found
    return _at(dimension, step, round((found - dimension.low) / step))


def _step(of: Range) -> float | None:
    return of.step or (1 if of.whole else None)


def _at(of: Range, step: float, steps: int) -> float:
    """Return the lowest number and so many steps."""
    found = in_steps(of.low, step, steps)
    return int(found) if of.whole else found
