"""Equal tuning: the same number of trials for every model, at the same points.

Trial 0 is the recipe as it is. The others scale its learning rate and replace its
dropout by the points of an additive recurrence, x_k = frac(x_0 + k alpha), which fills
the square more evenly than chance does in few points (Roberts 2018, "The unreasonable
effectiveness of quasirandom sequences"; that this helps a search is shown by Bousquet
et al. 2017, "Critical hyper-parameters: no random, no cry"). The points depend on the
seed and the number of the trial alone: all models are tried at the same ones, and one
model more changes nothing for the others.

The n-gram model has one setting, its order, and tries those next to the default.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from keras_rnnlm.config import Settings

LOWEST, HIGHEST = 1 / 8, 4.0
"""Bounds of the factor of the learning rate: a rate far too high fails at once."""
MOST_DROPOUT = 0.5

# alpha = (1/g, 1/g^2), g the real root of g^3 = g + 1.
_G = 1.32471795724474602596
_ALPHA = (1 / _G, 1 / _G**2)


def trial_settings(settings: Settings, trial: int, seed: int) -> Settings:
    """Return the settings of one trial.

    Args:
        settings: Those that the model begins with: trial 0.
        trial: Number of the trial.
        seed: Moves all points.
    """
    if trial == 0:
        return settings
    rate, dropout = trial_point(trial, seed)
    factor = math.exp(math.log(LOWEST) + rate * math.log(HIGHEST / LOWEST))
    return settings.replace(
        # Digits enough for a table, so that what is printed can be typed again.
        learning_rate=float(f"{settings.learning_rate * factor:.3g}"),
        dropout=round(MOST_DROPOUT * dropout, 2),
    )


def trial_point(trial: int, seed: int) -> tuple[float, float]:
    """Return the point of a trial in the unit square."""
    start = np.random.default_rng(seed).random(2)
    x, y = ((s + trial * a) % 1.0 for s, a in zip(start, _ALPHA, strict=True))
    return float(x), float(y)


def orders(default: int) -> Iterator[int]:
    """Yield orders of an n-gram model, the default first, then its neighbours."""
    yield default
    for step in itertools.count(1):
        if default - step >= 1:
            yield default - step
        yield default + step
