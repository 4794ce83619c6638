"""Where attention and a continuous cache look, for models that have them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.explanation.passes import Pass
from keras_rnnlm.explanation.reading import Reading
from keras_rnnlm.explanation.surprisal import rounded, rounded_rows
from keras_rnnlm.layers.observed import listening
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.compiled import compiled_once
from keras_rnnlm.scoring.cache import CacheSettings

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Attention:
    """One layer's attention weights while T shown predictions were made.

    Attributes:
        weights: (heads, T, W); column d is what the step gave to the input d places
            before the last one it had read.
        further: (heads, T) what it gave to inputs further back.
    """

    weights: Floats
    further: Floats

    def to_json(self) -> dict[str, Any]:
        """Return the mean of the heads for JSON."""
        return {
            "heads": len(self.weights),
            "weights": rounded_rows(self.weights.mean(axis=0)),
            "further": [rounded(value) for value in self.further.mean(axis=0)],
        }


@dataclass(frozen=True, eq=False)
class CacheWeights:
    """What a continuous cache says of T shown predictions.

    Attributes:
        settings: Window and theta.
        share: Of the cache in the mixture of the model's evaluation; None if unknown.
        weights: (T, W); column d is the weight of the token d + 1 places before the one
            that is predicted. Only tokens that were predicted are in the cache.
        further: (T,) the weight of those further back.
        probabilities: (T,) what the cache gives to the token that came; nan while it is
            empty.
    """

    settings: CacheSettings
    share: float | None
    weights: Floats
    further: Floats
    probabilities: Floats

    def to_json(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return {
            "window": self.settings.window,
            "theta": self.settings.theta,
            "share": None if self.share is None else rounded(self.share),
            "weights": rounded_rows(self.weights),
            "further": [rounded(value) for value in self.further],
            "probabilities": [rounded(value, 6) for value in self.probabilities],
        }


def attention(network: CausalLM, reading: Reading, reach: int) -> tuple[Attention, ...]:
    """Return the attention weights of each layer that has any.

    Args:
        network: In float32.
        reading: The text, whose shown part is read in one piece.
        reach: W.
    """
    inputs = reading.ids[None, : reading.shown]
    found = compiled_once(network, _attend)(inputs)
    return tuple(
        _by_distance(np.asarray(ops.convert_to_numpy(shares)), reach)
        for shares in found
    )


def _attend(network: CausalLM, inputs: Any) -> Any:
    with listening("attention") as told:
        network.hidden_of(network.embedding(inputs), network.initial_state(1))
    # Without the empty memory before the first step: it may be most of the places.
    return tuple(each.value[..., -inputs.shape[1] :] for each in told)


def _by_distance(shares: NDArray[Any], reach: int) -> Attention:
    """From shares of places, (1, T, T) or (1, heads, T, T), to distances."""
    shares = shares.astype(np.float64)
    heads = shares[0] if shares.ndim == 4 else shares
    steps = heads.shape[1]
    reach = min(reach, steps)
    at = np.arange(steps)[:, None] - np.arange(reach)
    weights = np.take_along_axis(
        heads, np.broadcast_to(np.maximum(at, 0), (len(heads), steps, reach)), axis=2
    )
    seen = np.arange(steps)[:, None] >= np.arange(reach)
    weights = np.where(seen, weights, 0.0)
    return Attention(weights, np.maximum(1 - weights.sum(axis=2), 0.0))


def cache_weights(
    reading: Reading,
    found: Pass,
    settings: CacheSettings,
    share: float | None,
    reach: int,
) -> CacheWeights:
    """Return what a continuous cache that reads the shown part looks at.

    Args:
        reading: The text.
        found: The network's pass over it.
        settings: Of the cache; see `scoring.cache` for its equation.
        share: Of the cache in the mixture.
        reach: W.
    """
    shown = reading.shown
    reach = min(reach, shown)
    hidden = found.hidden[:shown].astype(np.float64)
    came = reading.ids[1 : shown + 1]
    weights, further = np.zeros((shown, reach)), np.zeros(shown)
    probabilities = np.full(shown, np.nan)
    for t in range(1, shown):
        begin = max(0, t - settings.window)
        nearness = settings.theta * (hidden[begin:t] @ hidden[t])
        terms = np.exp(nearness - nearness.max())
        terms /= terms.sum()
        near = terms[::-1][:reach]
        weights[t, : len(near)] = near
        further[t] = max(1 - near.sum(), 0.0)
        probabilities[t] = terms[came[begin:t] == came[t]].sum()
    return CacheWeights(settings, share, weights, further, probabilities)
