"""How far back a model looks: its loss against the length of the context it keeps.

The same predictions are made again and again, each time from a zero state and the last
k tokens alone. What it loses against the context of the whole text tells what it had
remembered beyond k tokens.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.explanation.passes import Floats, Told, last_nats
from keras_rnnlm.explanation.reading import Reading
from keras_rnnlm.explanation.surprisal import rounded
from keras_rnnlm.models.causal_lm import CausalLM

LONGEST = 256
TARGETS = 256
ROWS = 32
LEAST = 32
NEAR = 0.01
"""Nats a token by which a context may be worse than the whole one."""


@dataclass(frozen=True, eq=False)
class Memory:
    """Loss by context.

    Attributes:
        contexts: int (k,), numbers of tokens kept: 1, 2, 4, ...
        nats: (k,) mean loss a token with each.
        errors: (k,) standard error of its difference from `whole`.
        whole: mean loss of the same predictions with all the text before them.
        predictions: their number.
    """

    contexts: NDArray[np.int64]
    nats: Floats
    errors: Floats
    whole: float
    predictions: int

    @property
    def effective(self) -> int | None:
        """The shortest context within 0.01 nats of the whole one; None if all fail."""
        near = np.flatnonzero(self.nats <= self.whole + NEAR)
        return int(self.contexts[near[0]]) if len(near) else None

    def to_json(self) -> dict[str, Any]:
        """Return the curve for JSON."""
        return {
            "contexts": self.contexts.tolist(),
            "nats": [rounded(value) for value in self.nats],
            "errors": [rounded(value) for value in self.errors],
            "whole": rounded(self.whole),
            "predictions": self.predictions,
            "effective": self.effective,
            "near": NEAR,
        }


def memory(
    network: CausalLM,
    reading: Reading,
    log_probabilities: Floats,
    told: Told | None = None,
    longest: int = LONGEST,
    targets: int = TARGETS,
) -> Memory | None:
    """Measure loss by context.

    Args:
        network: In float32.
        reading: The text.
        log_probabilities: (N,) of its predictions with all the text before them.
        told: Called with the numbers of tokens read and of all.
        longest: Most tokens kept; at most half of the text.
        targets: Most predictions, evenly spread over the text.

    Returns:
        None for a text of fewer than 32 predictions.
    """
    total = reading.predictions
    if total < LEAST:
        return None
    most = min(longest, total // 2)
    contexts = 2 ** np.arange(int(np.log2(most)) + 1)
    # Prediction t, from 1, has t inputs.
    places = np.unique(np.linspace(contexts[-1], total, targets).astype(np.int64))
    full = -log_probabilities[places - 1]
    work, done = int(contexts.sum()) * len(places), 0
    means, errors = [], []
    for context in contexts.tolist():
        nats = np.empty(len(places))
        for begin in range(0, len(places), ROWS):
            here = places[begin : begin + ROWS]
            padded = np.resize(here, ROWS)
            inputs = reading.ids[padded[:, None] - context + np.arange(context)]
            nats[begin : begin + ROWS] = last_nats(
                network, inputs, reading.ids[padded]
            )[: len(here)]
            done += context * len(here)
            if told is not None:
                told(done, work)
        means.append(nats.mean())
        errors.append((nats - full).std(ddof=1) / np.sqrt(len(places)))
    return Memory(
        contexts, np.array(means), np.array(errors), float(full.mean()), len(places)
    )
