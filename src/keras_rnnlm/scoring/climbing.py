"""A climb along settings of dynamic evaluation, within a time."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence

from keras_rnnlm.scoring.learning import DynamicSettings


class Trials:
    """Losses of settings, each tried once, none begun that would not end in time."""

    def __init__(
        self, trial: Callable[[DynamicSettings, int], float], until: float
    ) -> None:
        """Take what tries settings on a number of predictions, and when to end.

        Args:
            trial: Returns the loss.
            until: Of `time.monotonic`.
        """
        self._trial, self._until = trial, until
        self._known: dict[DynamicSettings, float] = {}
        self._slowest = 0.0

    def loss(self, settings: DynamicSettings, most: int) -> float:
        """Return the loss; infinite, as if it were no better, if the time is up."""
        if settings not in self._known:
            begun = time.monotonic()
            if self._known and begun + self._slowest > self._until:
                return math.inf
            self._known[settings] = self._trial(settings, most)
            self._slowest = max(self._slowest, time.monotonic() - begun)
        return self._known[settings]


def rates(settings: DynamicSettings) -> list[DynamicSettings]:
    """Return settings of which each learns twice as fast; number 6 is `settings`."""
    return [
        dataclasses.replace(settings, rate=settings.rate * 2.0**i) for i in range(-6, 7)
    ]


def climb(
    candidates: Sequence[DynamicSettings],
    place: int,
    gain: Callable[[DynamicSettings], float],
    stride: int = 1,
) -> DynamicSettings:
    """Walk along candidates for as long as that gains; return the best.

    Args:
        candidates: In an order along which the gain has one top.
        place: Where to begin; further down as long as the gain there is minus infinity,
            as of a rate with which weights go astray.
        gain: Of settings.
        stride: Of the walk.
    """
    best = gain(candidates[place])
    while best == -math.inf and place >= stride:
        place -= stride
        best = gain(candidates[place])
    begun = place
    for direction in (stride, -stride):
        while 0 <= place + direction < len(candidates):
            if not (found := gain(candidates[place + direction])) > best:
                break
            best, place = found, place + direction
        if place != begun:
            break
    return candidates[place]
