"""Perplexity by class of prediction: how frequent a token is, where in a line it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.errors import InputError
from keras_rnnlm.language_model import LanguageModel
from keras_rnnlm.scoring.protocols import protocol_for, segments
from keras_rnnlm.scoring.scorer import Progress, score_segments

EXAMPLES = 2
_SHOWN = {"\n": "↵", " ": "␣", "\t": "⇥"}

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Class:
    """Predictions that are alike.

    Attributes:
        name: Of the class, such as `11-31`.
        predictions: How many there are.
        nats: The sum of their losses.
        examples: Frequent tokens of it.
    """

    name: str
    predictions: int
    nats: float
    examples: tuple[str, ...] = ()

    @property
    def perplexity(self) -> float:
        """Exp of nats by predictions; infinite where no float holds it."""
        with np.errstate(over="ignore"):
            return float(np.exp(self.nats / self.predictions))

    def to_dict(self) -> dict[str, Any]:
        """Return all fields for JSON."""
        finite = np.isfinite(self.perplexity)
        return {
            "name": self.name,
            "predictions": self.predictions,
            "nats": self.nats,
            "perplexity": self.perplexity if finite else None,
            "examples": list(self.examples),
        }


def losses_of(
    model: LanguageModel,
    text: EncodedText,
    protocol: str | None = None,
    progress: Progress | None = None,
) -> tuple[Ints, Floats]:
    """Return the position of each target in `text.ids`, and its loss in nats.

    Raises:
        InputError: There is nothing to predict.
    """
    chosen = protocol_for(text, protocol or model.protocol)
    starts, stops = segments(text, chosen)
    if not (stops > starts).any():
        raise InputError(
            "Expected a text with at least one token to predict, received none. Give a "
            "longer text."
        )
    network: Any = model.network
    scores = score_segments(network, text.ids, starts, stops, progress=progress)
    pieces = [
        np.arange(start, stop, dtype=np.int64)
        for start, stop in zip(starts, stops, strict=True)
    ]
    return np.concatenate(pieces), np.asarray(scores.nats, np.float64)


def counts_of(text: EncodedText, vocabulary_size: int) -> Ints:
    """Return how often each token is predicted in a text, shape (vocabulary,)."""
    counts = np.zeros(vocabulary_size, np.int64)
    for start, stop in zip(text.starts, text.stops, strict=True):
        counts += np.bincount(text.ids[start:stop], minlength=vocabulary_size)
    return counts


def by_frequency(
    targets: NDArray[np.integer], nats: Floats, counts: Ints, tokens: Sequence[str]
) -> list[Class]:
    """Divide predictions by how often their target stands in another text.

    Args:
        targets: (n,) ids.
        nats: (n,) losses.
        counts: (vocabulary,) of each id; see `counts_of`.
        tokens: (vocabulary,) for the examples.

    Returns:
        Classes from the rarest to the most frequent tokens, half a decade wide.
    """
    edges = _half_decades(int(counts.max(initial=1)))
    place = np.searchsorted(edges, counts[targets], side="right") - 1
    found = []
    for number, low in enumerate(edges):
        mine = place == number
        if not mine.any():
            continue
        ids, times = np.unique(targets[mine], return_counts=True)
        frequent = ids[np.argsort(-times, kind="stable")[:EXAMPLES]]
        examples = tuple(_shown(tokens[i]) for i in frequent.tolist())
        found.append(
            Class(
                _name(low, edges[number + 1] - 1 if low < edges[-1] else None),
                int(mine.sum()),
                float(nats[mine].sum()),
                examples,
            )
        )
    return found


def by_position(positions: Ints, nats: Floats, text: EncodedText) -> list[Class]:
    """Divide predictions by the place of their target in its line, 1 for the first.

    Args:
        positions: (n,) of the targets in `text.ids`.
        nats: (n,) losses.
        text: The text.
    """
    starts, _ = text.lines()
    line = np.searchsorted(starts, positions, side="right") - 1
    place = positions - starts[line] + 1
    longest = int(place.max(initial=1))
    edges = [1, 2, 3, 4, 5, 6, 8, 11]
    while edges[-1] < longest:
        edges.append(max(edges[-1] + 1, round(edges[-1] * 1.5)))
    number = np.searchsorted(edges, place, side="right") - 1
    found = []
    for index, low in enumerate(edges):
        mine = number == index
        if mine.any():
            last = edges[index + 1] - 1 if low < edges[-1] else longest
            found.append(
                Class(_name(low, last), int(mine.sum()), float(nats[mine].sum()))
            )
    return found


def _half_decades(most: int) -> list[int]:
    """Return where classes begin: 0, 1, 2, 4, 11, 32, 101, 317, 1001, ..."""
    edges = [0, 1, 2, 4]
    decade = 1
    while edges[-1] <= most:
        edges += [10**decade + 1, int(10 ** (decade + 0.5)) + 1]
        decade += 1
    return [edge for edge in edges if edge <= most]


def _name(low: int, high: int | None) -> str:
    if high is None:
        return f"{low:,}+"
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


def _shown(token: str) -> str:
    return "".join(_SHOWN.get(character, character) for character in token)
