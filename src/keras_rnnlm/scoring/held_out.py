"""Whether an addition holds on validation text that its settings were not chosen on.

Settings are chosen on the first two thirds of what a search reads, and an addition has
to gain on the last third, where it is judged with those settings. Only then is it kept,
with settings fitted on all. The text is read in order, so that the third is also the
later one: a network that learns too fast as it reads is found out there.
"""

import math

import numpy as np

from keras_rnnlm.scoring.experts import Floats

HELD_OUT = 1 / 3
LEAST_GAIN = 1e-4  # nats a token, below which something is left out
BLOCKS = 20


def cut_of(predictions: int) -> int:
    """Return the first prediction of the tail that settings are not chosen on."""
    return predictions - int(HELD_OUT * predictions)


def holds(gains: Floats) -> bool:
    """Whether an addition gains, and by more than its standard error.

    Neighbouring predictions are alike, so the error is that of the means of blocks.

    Args:
        gains: (predictions,) in the order of the text: nats that the addition saves on
            each token that it was not chosen on.
    """
    if len(gains) < 2:
        return False
    blocks = np.array_split(gains, min(BLOCKS, len(gains)))
    means = np.array([block.mean() for block in blocks])
    error = means.std(ddof=1) / math.sqrt(len(means))
    return bool(gains.mean() >= max(LEAST_GAIN, error))
