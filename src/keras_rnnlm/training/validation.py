"""The quick validation of a training run: many lanes, a bounded piece of text."""

from dataclasses import dataclass

import numpy as np

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.scoring.protocols import Protocol, segments
from keras_rnnlm.scoring.scorer import score_segments

LANES = 64
MOST_TOKENS = 500_000


@dataclass(frozen=True)
class Estimate:
    """Mean nats a token on the validation text, under `lanes:64`, an estimate."""

    nats_per_token: float

    @property
    def perplexity(self) -> float:
        """Exp of the mean nats a token; infinite where that overflows."""
        with np.errstate(over="ignore"):
            return float(np.exp(self.nats_per_token))


class Validator:
    """Scores the same tokens of a validation text at every call."""

    def __init__(self, text: EncodedText) -> None:
        """Choose the tokens: 64 lanes a file, cut so that 500,000 tokens remain."""
        self._ids = text.ids
        starts, stops = segments(text, Protocol("lanes", LANES))
        lengths = stops - starts
        total = int(lengths.sum())
        if total > MOST_TOKENS:
            kept = np.maximum(1, lengths * MOST_TOKENS // total)
            stops = starts + np.minimum(lengths, kept)
        self._starts, self._stops = starts, stops

    def __call__(self, network: CausalLM) -> Estimate:
        """Score the network's current weights."""
        scores = score_segments(network, self._ids, self._starts, self._stops)
        return Estimate(float(np.mean(scores.nats, dtype=np.float64)))
