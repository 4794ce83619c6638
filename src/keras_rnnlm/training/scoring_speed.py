"""How long a text will take to score, learnt from a little of it."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.scoring.scorer import (
    BATCH_SIZE,
    STEPS,
    positions_of_call,
    score_segments,
)

_FEWEST = 1024  # targets, where the text has them
_REPEATS, _ENOUGH = 3, 0.5  # measurements, fewer after so many seconds
_MARGIN = 1.15


@dataclass(frozen=True)
class ScoringTime:
    """What scoring some segments will take.

    Attributes:
        compilation: Seconds that the first call takes longer than others.
        seconds: Of all segments, with a margin.
    """

    compilation: float
    seconds: float


def scoring_time(
    network: CausalLM,
    ids: NDArray[np.integer],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
) -> ScoringTime:
    """Score the beginnings of the longest segments, in calls as wide as the real ones.

    Args:
        network: Whose weights may be any.
        ids: (tokens,) token ids.
        starts: (segments,) first target of each.
        stops: (segments,) place after its last target.
    """
    everything = int((stops - starts).sum())
    if not everything:
        return ScoringTime(0.0, 0.0)
    longest = np.argsort(starts - stops, kind="stable")[:BATCH_SIZE]
    first, last = starts[longest], stops[longest]
    rows = len(longest)
    positions = positions_of_call(network.vocabulary_size)
    within = max((steps for steps in STEPS if steps * rows <= positions), default=1)
    last = np.minimum(last, first + max(within, _FEWEST // rows))
    took: list[float] = []
    while len(took) <= _REPEATS and sum(took[1:]) < _ENOUGH:
        begun = time.monotonic()
        score_segments(network, ids, first, last)
        took.append(time.monotonic() - begun)
    best = min(took[1:])
    scored = int((last - first).sum())
    return ScoringTime(took[0] - best, _MARGIN * best * everything / scored)
