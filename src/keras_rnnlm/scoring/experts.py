"""Experts: anything that gives every predicted token a probability.

One contract joins what is added to a model at evaluation time. An expert is an array of
natural-log probabilities, float64 (predictions,), in the order of
`segments(text, Protocol("carry"))`: those of the predictions that
`scorer.score_segments` scores. At every prediction an expert stands for a distribution
over the whole vocabulary that depends on earlier tokens alone, and so does every
weighted mean of experts with weights that were settled beforehand.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.errors import InputError

Floats = NDArray[np.float64]

_ROUNDS = 1000
_BLOCK = 1 << 18


def mix(experts: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """Return log sum_e weight_e p_e of every prediction.

    Args:
        experts: Natural-log probabilities (predictions,); -inf where p is 0.
        weights: One for each, from 0 to 1, with sum 1.

    Raises:
        InputError: If the weights are no distribution.
    """
    shares = np.asarray(weights, np.float64)
    if shares.min() < 0 or abs(shares.sum() - 1) > 1e-6:
        raise InputError(
            "Expected weights of 0 or more with sum 1, received "
            f"{[float(w) for w in shares]}."
        )
    result = np.full(len(experts[0]), -np.inf)
    for expert, share in zip(experts, shares.tolist(), strict=True):
        if share:
            np.logaddexp(result, expert + np.log(share), out=result)
    return result


def fit_weights(experts: Sequence[Floats]) -> Floats:
    """Return the weights with which a mixture predicts a validation text best.

    Expectation maximisation (Jelinek and Mercer 1980), which climbs to the one
    maximum there is: a round replaces each weight by the mean share of its expert in
    the mixture's probability.

    Args:
        experts: Natural-log probabilities (predictions,) each; at every prediction one
            of them is above -inf.

    Returns:
        Weights (experts,), with sum 1.

    Raises:
        InputError: If all experts give some prediction the probability 0.
    """
    logs = np.stack([np.asarray(expert, np.float64) for expert in experts])
    top = logs.max(axis=0)
    if not np.isfinite(top).all():
        raise InputError(
            "Expected one expert at least with a probability above 0 at every "
            "prediction, received predictions that none of them allows. Mix with a "
            "model that has a softmax."
        )
    p = np.exp(logs - top)  # relative to the best: nothing underflows that matters
    weights = np.full(len(p), 1 / len(p))
    for _ in range(_ROUNDS):
        total = np.zeros(len(p))
        for begin in range(0, p.shape[1], _BLOCK):
            joint = weights[:, None] * p[:, begin : begin + _BLOCK]
            total += (joint / joint.sum(axis=0)).sum(axis=1)
        before, weights = weights, total / p.shape[1]
        if np.abs(weights - before).max() < 1e-6:
            break
    found: Floats = weights / weights.sum()
    return found
