"""The quick validation of a training run: many rows, a bounded piece of text."""

from dataclasses import dataclass

import numpy as np

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.scoring.protocols import Protocol, parse_protocol, segments
from keras_rnnlm.scoring.scorer import score_segments
from keras_rnnlm.training.scoring_speed import scoring_time

LANES = 64
MOST_TOKENS = 500_000


@dataclass(frozen=True)
class Estimate:
    """Mean nats a token on the validation text, or on a piece of it: an estimate."""

    nats_per_token: float

    @property
    def perplexity(self) -> float:
        """Exp of the mean nats a token; infinite where that overflows."""
        with np.errstate(over="ignore"):
            return float(np.exp(self.nats_per_token))


class Validator:
    """Scores the same tokens of a validation text at every call."""

    def __init__(self, text: EncodedText, protocol: str | None = None) -> None:
        """Choose the tokens, 500,000 of them at most.

        Args:
            text: The validation text.
            protocol: Of the model. Where its states are short-lived (`sentence`,
                `window:N`) they are so here too; otherwise 64 lanes a file are read.
        """
        self._ids = text.ids
        lanes = Protocol("lanes", LANES)
        chosen = lanes if protocol is None else parse_protocol(protocol)
        short = chosen.name in ("sentence", "window")
        starts, stops = segments(text, chosen if short else lanes)
        if short:  # whole ones, evenly spread over the text
            room = int(np.searchsorted(np.cumsum(stops - starts), MOST_TOKENS)) + 1
            spread = np.linspace(0, len(starts) - 1, min(room, len(starts)))
            starts, stops = starts[spread.astype(int)], stops[spread.astype(int)]
        lengths = stops - starts
        total = int(lengths.sum())
        if total > MOST_TOKENS:
            kept = np.maximum(1, lengths * MOST_TOKENS // total)
            stops = starts + np.minimum(lengths, kept)
        self._starts, self._stops = starts, stops

    def estimated_seconds(self, network: CausalLM) -> float:
        """Measure how long a validation will take, with a margin; it is compiled."""
        return scoring_time(network, self._ids, self._starts, self._stops).seconds

    def __call__(self, network: CausalLM) -> Estimate:
        """Score the network's current weights."""
        scores = score_segments(network, self._ids, self._starts, self._stops)
        return Estimate(float(np.mean(scores.nats, dtype=np.float64)))
