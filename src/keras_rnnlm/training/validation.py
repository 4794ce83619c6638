"""The quick validation of a training run: many rows, a bounded piece of text."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.config import Settings
from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.scoring.protocols import long_lanes, parse_protocol, segments
from keras_rnnlm.scoring.scorer import score_segments
from keras_rnnlm.training.scoring_speed import scoring_time

LANES = 64
# Of a lane, where its file has them: a token needs others before it.
SHORTEST_LANE = 256
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
                `window:N`) they are so here too; otherwise 64 lanes a file are read, or
                as many as have 256 tokens each. Of many files some of the lanes are
                read, spread over all of them.
        """
        self._ids = text.ids
        chosen = None if protocol is None else parse_protocol(protocol)
        if chosen is not None and chosen.name in ("sentence", "window"):
            starts, stops = segments(text, chosen)
        else:
            starts, stops = long_lanes(text, LANES, SHORTEST_LANE)
        places = _spread(stops - starts)  # whole ones, over all the text
        starts, stops = starts[places], stops[places]
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


def _spread(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return places of segments, evenly spread, that have `MOST_TOKENS` at most.

    As few as `LANES` long ones may have more. Others need not be cut: the last token of
    a line is its end, and without line ends the estimate would be of another text; and
    a lane of a few tokens knows nothing of what stood before it.

    Args:
        lengths: (segments,) targets of each.
    """
    number = len(lengths)
    places = np.arange(number, dtype=np.int64)
    while number > LANES and (total := int(lengths[places].sum())) > MOST_TOKENS:
        number = max(LANES, number * MOST_TOKENS // total)
        places = np.linspace(0, len(lengths) - 1, number).astype(np.int64)
    return places


def note_of_validation(text: EncodedText | None, settings: Settings) -> str:
    """Return what a user should know of a run without validation text, or "".

    Args:
        text: The validation text; None without one.
        settings: Of the run.
    """
    asked = {
        f"patience={settings.patience}": settings.patience > 0,
        "schedule=plateau": settings.schedule == "plateau",
        "averaging=nt_asgd": settings.averaging_kind == "nt_asgd",
    }
    idle = [name for name, given in asked.items() if given]
    if text is not None or not idle:
        return ""
    return (
        f"There is no validation text, by which {' and '.join(idle)} would go: nothing "
        "comes of it. Give --valid or --split."
    )
