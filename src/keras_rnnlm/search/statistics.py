"""Means, deviations, and whether a difference is more than chance.

Two questions are kept apart. *Would the difference hold on other text?* is answered by
a paired randomisation test over blocks of the test text. *Would it hold for other
seeds?* is answered by Welch's t-test over the runs, where there are several of each.
"""

import itertools
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

RANDOMISATIONS = 20_000
_EXACT = 14  # blocks: up to here all 2^n signs are gone through
_AT_ONCE = 2_000
_NODES = 256


def mean_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Return mean and sample standard deviation.

    The deviation is None with fewer than two values, or where some are infinite.
    """
    array = np.asarray(values, np.float64)
    known = len(array) > 1 and bool(np.isfinite(array).all())
    return float(array.mean()), float(array.std(ddof=1)) if known else None


def randomisation_p(differences: ArrayLike, seed: int = 0) -> float:
    """Return the two-sided p-value of paired differences with mean zero.

    Under the null hypothesis the two models could be exchanged in every block, so that
    each difference might as well have the other sign (Fisher 1935; Noreen 1989; for
    language processing Yeh 2000). p is the share of signs whose sum is as far from zero
    as the one found. All signs are gone through for few blocks, else they are drawn,
    and what was found counts as one of them (Phipson and Smyth 2010).

    Args:
        differences: (blocks,) losses of one model minus those of the other.
        seed: Of the signs drawn.

    Raises:
        ValueError: There is no block.
    """
    found = np.asarray(differences, np.float64)
    blocks = len(found)
    if not blocks:
        raise ValueError("Expected differences over one block or more, received none.")
    # Equal sums differ by their rounding.
    least = abs(float(found.sum())) - 1e-12 * float(np.abs(found).sum())
    if blocks <= _EXACT:
        every = np.array(list(itertools.product((-1, 1), repeat=blocks)), np.float64)
        return float(np.mean(np.abs(every @ found) >= least))
    generator = np.random.default_rng(seed)
    extreme = 0
    for _ in range(RANDOMISATIONS // _AT_ONCE):
        signs = generator.integers(0, 2, (_AT_ONCE, blocks)) * 2.0 - 1.0
        extreme += int(np.count_nonzero(np.abs(signs @ found) >= least))
    return (extreme + 1) / (RANDOMISATIONS + 1)


def welch_p(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return the two-sided p-value of equal means (Welch 1947).

    Args:
        first: Figures of one model's runs.
        second: Those of the other; their deviation may be another one.

    Returns:
        The p-value; None with fewer than two runs of either, or where no run differs
        from another of its model.
    """
    if min(len(first), len(second)) < 2:
        return None
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    va, vb = _squared_error(a), _squared_error(b)
    if not (va + vb > 0 and math.isfinite(va + vb)):
        return None
    t = (a.mean() - b.mean()) / math.sqrt(va + vb)
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    return student_p(float(t), float(freedom))


def student_p(t: float, freedom: float) -> float:
    r"""Return the probability that Student's t is as far from zero as this.

    With x = sqrt(freedom) tan(a), both tails are

        2 Gamma((freedom + 1) / 2) / (sqrt(pi) Gamma(freedom / 2))
            * integral of cos(a)^(freedom - 1) from atan(t / sqrt(freedom)) to pi / 2,

    a smooth integrand, for Gauss-Legendre nodes.

    Args:
        t: The statistic.
        freedom: Degrees of freedom, 1 or more; need not be whole.
    """
    begin = math.atan2(abs(t), math.sqrt(freedom))
    nodes, weights = _nodes()
    half = (math.pi / 2 - begin) / 2
    cosines = np.cos(begin + half * (nodes + 1))
    with np.errstate(under="ignore"):
        integral = half * float(weights @ np.power(cosines, freedom - 1))
    scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    return min(1.0, 2 * integral * math.exp(scale) / math.sqrt(math.pi))


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Adjust p-values for their number by the step-down method of Holm (1979).

    Args:
        values: p-values; None where there was no test, which stays None.

    Returns:
        Adjusted ones in the same order: below 0.05, say, with a probability of at most
        0.05 that any one of these is an error.
    """
    tested = sorted((p, place) for place, p in enumerate(values) if p is not None)
    adjusted: list[float | None] = [None] * len(values)
    highest = 0.0
    for rank, (p, place) in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - rank) * p))
        adjusted[place] = highest
    return adjusted


def _squared_error(values: Any) -> float:
    """Return the squared standard error of a mean, exactly 0 for equal values."""
    if np.ptp(values) == 0:
        return 0.0
    return float(values.var(ddof=1) / len(values))


@cache
def _nodes() -> tuple[Any, Any]:
    return np.polynomial.legendre.leggauss(_NODES)
