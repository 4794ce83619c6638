"""How long a text will take to score, learnt from a little of it."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.layers.kernels.dispatch import native_target
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.scoring.layout import STEPS, planned_calls, positions_of_call
from keras_rnnlm.scoring.scorer import score_segments

_FEWEST = 1024  # targets, where the text has them
_REPEATS, _ENOUGH = 3, 0.5  # measurements, fewer after so many seconds
_MARGIN = 1.15


@dataclass(frozen=True)
class ScoringTime:
    """What scoring some segments will take.

    Attributes:
        compilation: Seconds that the first calls of each shape take longer than others.
        seconds: Of all segments, with a margin.
    """

    compilation: float
    seconds: float


@dataclass(frozen=True)
class _Measured:
    """What calls with some rows take: seconds to compile one, seconds of a step."""

    rows: int
    compilation: float
    step: float


def scoring_time(
    network: CausalLM,
    ids: NDArray[np.integer],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
) -> ScoringTime:
    """Plan all calls; time those with the most rows, and those with the fewest.

    Segments of unequal length end with calls of a few rows, which take much longer for
    each target. What lies between is taken from a line through both.

    Args:
        network: Whose weights may be any.
        ids: (tokens,) token ids.
        starts: (segments,) first target of each.
        stops: (segments,) place after its last target.
    """
    lengths = stops - starts
    calls = planned_calls(lengths, network.vocabulary_size)
    if not calls:
        return ScoringTime(0.0, 0.0)
    native_target()  # compiles them where they never were: in no call's time
    longest = np.argsort(-lengths, kind="stable")
    found = [
        _measured(network, ids, starts[longest[:rows]], stops[longest[:rows]])
        for rows in sorted({min(calls)[0], max(calls)[0]})
    ]
    rows = [each.rows for each in found]
    steps = [each.step for each in found]
    seconds = sum(
        times * length * float(np.interp(wide, rows, steps))
        for (wide, length), times in calls.items()
    )
    compilation = len(calls) * max(each.compilation for each in found)
    return ScoringTime(compilation, _MARGIN * seconds)


def _measured(
    network: CausalLM,
    ids: NDArray[np.integer],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
) -> _Measured:
    """Score the beginnings of some segments, side by side, a few times."""
    rows, size = len(starts), network.vocabulary_size
    positions = positions_of_call(size)
    within = max((steps for steps in STEPS if steps * rows <= positions), default=1)
    stops = np.minimum(stops, starts + max(within, _FEWEST // rows))
    took: list[float] = []
    while len(took) <= _REPEATS and sum(took[1:]) < _ENOUGH:
        begun = time.monotonic()
        score_segments(network, ids, starts, stops)
        took.append(time.monotonic() - begun)
    calls = planned_calls(stops - starts, size)
    best = min(took[1:])
    steps = sum(times * length for (_, length), times in calls.items())
    return _Measured(max(calls)[0], max(0.0, took[0] - best) / len(calls), best / steps)
