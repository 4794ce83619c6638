"""Noise on the words that a model reads in training, as smoothing.

Xie et al. (2017) show that replacing words at random does to a neural model what
smoothing does to an n-gram model. What is drawn for a batch is computed from the seed
and the number of the batch.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.errors import ConfigError, nearest

KINDS = ("none", "blank", "unigram", "bigram")
BLANK = -1
"""Stands for a word that is not there; `layers.Embedding` makes it the zero vector."""

Integers: TypeAlias = NDArray[np.int32]


class Noising:
    """Replaces words of batches.

    Args:
        kind: `blank`: a word is left out. `unigram`: it becomes one drawn by how often
            words come in the text. `bigram`: as Kneser-Ney smoothing would have it, a
            word is replaced the more often the more different words follow it for its
            frequency, by one drawn by how many different words it follows; the word to
            be predicted after it is then drawn likewise.
        rate: gamma_0: the probability that a word is replaced; for `bigram` that of a
            word which is followed by another one every time.
        ids: the training text, to draw from and to count in.
        vocabulary_size: number of different ids.
        seed: of the draws.

    Raises:
        ConfigError: for an unknown kind or a rate out of range.
    """

    def __init__(
        self,
        kind: str,
        rate: float,
        ids: NDArray[np.integer],
        vocabulary_size: int,
        seed: int = 0,
    ) -> None:
        """Count what `bigram` needs; takes 8 bytes of memory a token for that."""
        if kind not in KINDS:
            raise ConfigError(
                f"Expected noising to be one of {', '.join(KINDS)}; received '{kind}'."
                f"{nearest(kind, KINDS)}"
            )
        if not 0.0 <= rate <= 1.0:
            raise ConfigError(f"Expected a noising rate of 0 to 1; received {rate!r}.")
        self.kind = kind
        self.seed = seed
        # One word of it at a random place is a draw from its distribution.
        self._drawn_from = ids
        self._rates = np.full(vocabulary_size, rate)
        if kind == "bigram":
            pairs = ids[:-1].astype(np.int64) * vocabulary_size + ids[1:]
            different = np.unique(pairs)
            before, after = np.divmod(different, vocabulary_size)
            counts = np.bincount(ids[:-1], minlength=vocabulary_size)
            followers = np.bincount(before, minlength=vocabulary_size)
            self._rates = rate * followers / np.maximum(counts, 1)
            self._drawn_from = after.astype(np.int32)

    def __call__(
        self, tokens: Integers, targets: Integers, index: int
    ) -> tuple[Integers, Integers]:
        """Return inputs and targets with noise; `index` is the number of the batch."""
        if self.kind == "none":
            return tokens, targets
        random = np.random.default_rng((self.seed, index, 3))
        replaced = random.random(tokens.shape) < self._rates[tokens]
        if self.kind == "blank":
            return np.where(replaced, np.int32(BLANK), tokens), targets
        noised = np.where(replaced, self._draws(random, tokens.shape), tokens)
        if self.kind == "bigram":
            others = self._draws(random, tokens.shape)
            targets = np.where(replaced, others, targets)
        return noised, targets

    def _draws(self, random: np.random.Generator, shape: tuple[int, ...]) -> Integers:
        places = random.integers(len(self._drawn_from), size=shape)
        return np.asarray(self._drawn_from[places], np.int32)
