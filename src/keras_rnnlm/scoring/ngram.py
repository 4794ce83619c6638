"""Unigram and bigram models: the baselines that a neural model has to beat.

Interpolated Kneser-Ney smoothing with one discount for each order (Kneser and Ney,
1995, "Improved backing-off for m-gram language modeling"; Chen and Goodman, 1999, "An
empirical study of smoothing techniques for language modeling", section 2.7). With
counts c, discount D, N(h) the number of different words seen after h, and V words:

    p(w | h) = max(c(h, w) - D, 0) / c(h)  +  D N(h) / c(h)  *  lower(w)
    lower(w) = max(a(w) - D', 0) / A       +  D' U / A        *  1 / V

where a(w) is the number of different words seen before w, A its sum and U the number of
words with a(w) > 0. The unigram model is `lower` with plain counts for a. Each discount
is n1 / (n1 + 2 n2), from the numbers of counts that are one and two. A context that
was never seen leaves `lower` alone. Every distribution sums to one over the vocabulary.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.errors import InputError
from keras_rnnlm.scoring.protocols import Protocol, segments
from keras_rnnlm.scoring.report import Totals

Ids = NDArray[np.integer]
Keys = NDArray[np.int64]
Floats = NDArray[np.float64]

_BLOCK = 1 << 22


@dataclass(frozen=True, eq=False)
class NGramModel:
    """A unigram (order 1) or bigram (order 2) model over token ids.

    Memory grows with the number of different pairs seen, not with the square of the
    vocabulary.

    Attributes:
        order: 1 or 2.
        lower: (V,) probabilities of the words without a context.
        keys: Sorted codes `context * V + word` of the pairs seen; empty for order 1.
        seen: Discounted relative frequency of each pair in `keys`.
        backoff: (V,) weight of `lower` after each context; 1 where it was never seen.
    """

    order: int
    lower: Floats
    keys: Keys
    seen: Floats
    backoff: Floats

    @classmethod
    def fit(cls, text: EncodedText, vocabulary_size: int, order: int) -> "NGramModel":
        """Estimate a model from the predictions of a text.

        Args:
            text: The training text. Its pairs are each predicted token and the token
                before it, just what a neural model is trained on.
            vocabulary_size: Number of ids, V; all of them get a probability.
            order: 1 or 2.

        Raises:
            InputError: If the text has nothing to predict.
            ValueError: If `order` is neither 1 nor 2.
        """
        if order not in (1, 2):
            raise ValueError(f"Expected order 1 or 2, received {order}.")
        v = vocabulary_size
        nothing = np.empty(0, np.int64)
        if order == 1:
            counts = np.zeros(v, np.int64)
            for _, targets in _blocks(text):
                counts += np.bincount(targets, minlength=v)
            lower = _smooth(counts)
            return cls(1, lower, nothing, nothing.astype(np.float64), np.ones(v))
        keys, counts = _count_pairs(text, v)
        lower = _smooth(np.bincount(keys % v, minlength=v))
        contexts = keys // v
        totals = np.bincount(contexts, weights=counts, minlength=v)
        followers = np.bincount(contexts, minlength=v)
        discount = _discount(counts)
        # Where a context was not seen, all weight goes to `lower`.
        backoff = np.divide(discount * followers, totals, np.ones(v), where=totals > 0)
        seen = np.maximum(counts - discount, 0) / totals[contexts]
        return cls(2, lower, keys, seen, backoff)

    def probabilities(self, inputs: Ids, targets: Ids) -> Floats:
        """Return p(target | input) for two id arrays of one shape, in that shape."""
        lower = self.lower[targets]
        if self.order == 1:
            return lower
        wanted = inputs.astype(np.int64) * len(self.lower) + targets
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        found = np.where(self.keys[places] == wanted, self.seen[places], 0.0)
        return found + self.backoff[inputs] * lower

    def totals(self, text: EncodedText) -> Totals:
        """Return nats and counts over the same predictions a neural model is scored on.

        Raises:
            InputError: If the text has nothing to predict.
        """
        parts = [-np.log(self.probabilities(i, t)) for i, t in _blocks(text)]
        nats = np.concatenate(parts) if parts else np.empty(0)
        return Totals.of(nats, text, *segments(text, Protocol("carry")))


def _blocks(text: EncodedText) -> list[tuple[Ids, Ids]]:
    """Return (inputs, targets) views of bounded size over all predictions."""
    return [
        (
            text.ids[begin - 1 : min(begin + _BLOCK, int(stop)) - 1],
            text.ids[begin : min(begin + _BLOCK, int(stop))],
        )
        for start, stop in zip(text.starts, text.stops, strict=True)
        for begin in range(int(start), int(stop), _BLOCK)
    ]


def _count_pairs(text: EncodedText, vocabulary_size: int) -> tuple[Keys, Keys]:
    """Return the sorted codes of all pairs and their counts, a block at a time."""
    keys = counts = np.empty(0, np.int64)
    for inputs, targets in _blocks(text):
        pairs = inputs.astype(np.int64) * vocabulary_size + targets
        new_keys, new_counts = np.unique(pairs, return_counts=True)
        both = np.concatenate([keys, new_keys])
        keys, place = np.unique(both, return_inverse=True)
        merged = np.bincount(place, weights=np.concatenate([counts, new_counts]))
        counts = merged.astype(np.int64)
    if not len(keys):
        raise InputError(
            "Expected a training text with at least one token to predict, received "
            "none. Give a longer text."
        )
    return keys, counts


def _smooth(counts: NDArray[np.int64]) -> Floats:
    """Discount the counts of all words and share what is freed out evenly."""
    total = int(counts.sum())
    if total == 0:
        raise InputError(
            "Expected a training text with at least one token to predict, received "
            "none. Give a longer text."
        )
    discount = _discount(counts)
    freed = discount * np.count_nonzero(counts) / total
    kept: Floats = np.maximum(counts - discount, 0) / total
    return kept + freed / len(counts)


def _discount(counts: NDArray[np.int64]) -> float:
    """Return n1 / (n1 + 2 n2), or a half where the text is too small to tell."""
    ones = np.count_nonzero(counts == 1)
    twos = np.count_nonzero(counts == 2)
    return ones / (ones + 2 * twos) if ones and twos else 0.5
