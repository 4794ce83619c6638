"""A mixture whose weights are predicted, token by token, from what is known before.

With experts k, each with a probability p_k of the token that comes, and features x of
the context it comes in:

    p = sum_k w_k(x) p_k,    w(x) = softmax(A (x - m) / s + b)

x is known before the token is seen, so the weights are the same for every token of the
vocabulary, and p sums to one wherever the experts do. An n-gram model is trusted where
it has seen a long context, a network where it is sure (`gate_features.py`).

A and b minimise the mean of -log p over a validation text and l2 / 2 times the square
of A; m and s are the mean and the deviation of x there. The search is that of L-BFGS
(Nocedal and Wright 2006, algorithm 7.5) and begins with A = 0 and the weights that are
best without features (`experts.fit_weights`), so that on that text it never ends worse.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_rnnlm.errors import InputError
from keras_rnnlm.scoring.experts import Floats, fit_weights, mix
from keras_rnnlm.scoring.held_out import cut_of

STRENGTHS = (1e-4, 1e-3, 1e-2)  # of the penalty on A, weakest first

_ROUNDS = 200
_MEMORY = 10
_TOLERANCE = 1e-7  # in nats a token: a round that gains less is the last
_SMALLEST_WEIGHT = 1e-4  # what a search may begin with


@dataclass(frozen=True, eq=False)
class Gate:
    """Weights of experts as a function of features.

    Attributes:
        matrix: (experts, features), A.
        bias: (experts,), b.
        mean: (features,), m.
        deviation: (features,), s.
    """

    matrix: Floats
    bias: Floats
    mean: Floats
    deviation: Floats

    def log_weights(self, features: Floats) -> Floats:
        """Return the natural logarithms of the weights.

        Args:
            features: (predictions, features).

        Returns:
            (experts, predictions); the weights of a prediction sum to one.

        Raises:
            InputError: If there is another number of features, or one is not finite.
        """
        x = (_checked(features, len(self.mean)) - self.mean) / self.deviation
        scores = self.matrix @ x.T + self.bias[:, None]
        scores -= scores.max(axis=0)
        return np.asarray(scores - np.log(np.exp(scores).sum(axis=0)))

    def mix(self, experts: Sequence[Floats], features: Floats) -> Floats:
        """Return the natural-log probabilities of the mixture.

        Args:
            experts: Natural-log probabilities (predictions,) each, as many as the gate
                has weights, in the order it was fitted with.
            features: (predictions, features).

        Raises:
            InputError: If the shapes are not those.
        """
        logs = _stacked(experts, len(features))
        if len(logs) != len(self.bias):
            raise InputError(
                f"Expected {len(self.bias)} experts, as the gate was fitted with, "
                f"received {len(logs)}."
            )
        return np.asarray(np.logaddexp.reduce(logs + self.log_weights(features)))

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as lists, for JSON."""
        return {name: value.tolist() for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "Gate":
        """Make the gate again from `to_dict`."""
        arrays = {name: np.asarray(value, np.float64) for name, value in stored.items()}
        return cls(**arrays)


@dataclass(frozen=True, eq=False)
class GateFit:
    """A gate and what it is worth on text that it was not fitted on.

    That text is the tail of the validation text (`held_out`): while the gate was judged
    there, nothing was fitted on it but the choice of the penalty.

    Attributes:
        gate: Fitted on all of the validation text, with the penalty that did best.
        strength: That penalty, l2.
        logs: (tail,) natural-log probabilities of the gated mixture.
        constant_logs: (tail,) those of the best mixture with constant weights.
    """

    gate: Gate
    strength: float
    logs: Floats
    constant_logs: Floats

    @property
    def gains(self) -> Floats:
        """Nats that the gate saves on each token of the tail, (tail,)."""
        return self.logs - self.constant_logs

    @property
    def loss(self) -> float:
        """Nats a token of the gated mixture on the tail."""
        return -float(self.logs.mean())

    @property
    def constant_loss(self) -> float:
        """Nats a token of the mixture with constant weights on the tail."""
        return -float(self.constant_logs.mean())


def fit_gate(
    experts: Sequence[Floats],
    features: Floats,
    *,
    strengths: Sequence[float] = STRENGTHS,
) -> GateFit:
    """Fit a gate on a validation text, and say what it is worth.

    The penalty is chosen on the tail of that text by gates fitted on what comes before;
    the gate that is returned is fitted on all of it.

    Args:
        experts: Natural-log probabilities (predictions,) of each expert.
        features: (predictions, features) what is known before each token.
        strengths: Penalties to choose from.

    Raises:
        InputError: If the text is too short, a feature is not finite, or all experts
            give some token the probability 0.
        ValueError: If no penalty is given.
    """
    if not strengths:
        raise ValueError("Expected a strength at least, received none.")
    x = _checked(features)
    logs = _stacked(experts, len(x))
    cut = cut_of(len(x))
    if cut < 2 or cut >= len(x):
        raise InputError(
            "Expected a validation text with more than a few tokens to fit weights "
            f"on, received {len(x)} predictions. Give a longer text."
        )
    tail, rest = list(logs[:, cut:]), logs[:, :cut]
    constant = mix(tail, fit_weights(list(rest)).tolist())
    gated = {
        strength: minimise_loss(rest, x[:cut], strength).mix(tail, x[cut:])
        for strength in strengths
    }
    best = max(gated, key=lambda strength: gated[strength].mean())
    return GateFit(minimise_loss(logs, x, best), best, gated[best], constant)


def minimise_loss(logs: Floats, features: Floats, strength: float) -> Gate:
    """Fit a gate on all of a text.

    Args:
        logs: (experts, predictions) natural-log probabilities.
        features: (predictions, features).
        strength: Of the penalty, l2.
    """
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    # A feature that never changes says nothing, and is left where it is.
    deviation = np.where(deviation > 1e-12, deviation, 1.0)
    x = (features - mean) / deviation
    k, d = len(logs), x.shape[1]
    start = np.zeros((k, d + 1))
    start[:, d] = np.log(np.maximum(fit_weights(list(logs)), _SMALLEST_WEIGHT))
    top = logs.max(axis=0)
    p = np.exp(logs - top)  # relative to the best expert

    def loss(flat: Floats) -> tuple[float, Floats]:
        matrix, bias = flat.reshape(k, d + 1)[:, :d], flat.reshape(k, d + 1)[:, d:]
        scores = matrix @ x.T + bias
        weights = np.exp(scores - scores.max(axis=0))
        weights /= weights.sum(axis=0)
        joint = weights * p
        total = joint.sum(axis=0)
        # An expert alone may give a token the probability 0, and a weight vanish.
        total = np.maximum(total, np.finfo(np.float64).tiny)
        slope = (weights - joint / total) / len(x)
        gradient = np.concatenate(
            [slope @ x + strength * matrix, slope.sum(axis=1, keepdims=True)], axis=1
        )
        value = -float((np.log(total) + top).mean())
        return value + strength / 2 * float((matrix**2).sum()), gradient.ravel()

    found = lbfgs(loss, start.ravel()).reshape(k, d + 1)
    return Gate(found[:, :d].copy(), found[:, d].copy(), mean, deviation)


def lbfgs(
    function: Callable[[Floats], tuple[float, Floats]],
    start: Floats,
    rounds: int = _ROUNDS,
) -> Floats:
    """Return where a smooth function is least, as far as a descent from `start` leads.

    Args:
        function: Returns the value and the gradient at a point.
        start: Where to begin; the value at the end is never above the one here.
        rounds: Most steps.
    """
    point, (value, gradient) = start, function(start)
    pairs: deque[tuple[Floats, Floats]] = deque(maxlen=_MEMORY)
    for _ in range(rounds):
        direction = -_times_inverse_hessian(gradient, pairs)
        slope = float(gradient @ direction)
        if slope >= 0:  # rounding has spoilt what was remembered
            pairs.clear()
            direction, slope = -gradient, -float(gradient @ gradient)
        step = 1.0 if pairs else min(1.0, 1 / max(float(np.abs(gradient).sum()), 1e-12))
        for _ in range(40):
            there = point + step * direction
            new_value, new_gradient = function(there)
            if new_value <= value + 1e-4 * step * slope:
                break
            step /= 2
        else:
            return point
        moved, bent = there - point, new_gradient - gradient
        if moved @ bent > 1e-12 * float(bent @ bent):
            pairs.append((moved, bent))
        gained = value - new_value
        point, value, gradient = there, new_value, new_gradient
        if gained < _TOLERANCE:
            break
    return point


def _times_inverse_hessian(
    gradient: Floats, pairs: deque[tuple[Floats, Floats]]
) -> Floats:
    """Return the two-loop recursion's estimate of H^-1 times the gradient."""
    q = gradient.copy()
    factors = []
    for moved, bent in reversed(pairs):
        factor = float(moved @ q) / float(moved @ bent)
        factors.append(factor)
        q -= factor * bent
    if pairs:
        moved, bent = pairs[-1]
        q *= float(moved @ bent) / float(bent @ bent)
    for (moved, bent), factor in zip(pairs, reversed(factors), strict=True):
        q += (factor - float(bent @ q) / float(moved @ bent)) * moved
    return q


def _checked(features: Floats, wanted: int | None = None) -> Floats:
    """Return features in float64; refuse other shapes and what is not finite."""
    x = np.asarray(features, np.float64)
    if x.ndim != 2 or (wanted is not None and x.shape[1] != wanted):
        shape = f"(predictions, {'features' if wanted is None else wanted})"
        raise InputError(f"Expected features of shape {shape}, received {x.shape}.")
    if not np.isfinite(x).all():
        raise InputError(
            "Expected features that are finite numbers, received others. Leave out "
            "what is infinite for some tokens."
        )
    return x


def _stacked(experts: Sequence[Floats], predictions: int) -> Floats:
    """Return experts as rows; refuse other lengths."""
    lengths = {len(expert) for expert in experts}
    if lengths != {predictions}:
        raise InputError(
            f"Expected experts with {predictions} predictions, as many as the features "
            f"have, received {sorted(lengths)}."
        )
    return np.stack([np.asarray(expert, np.float64) for expert in experts])
