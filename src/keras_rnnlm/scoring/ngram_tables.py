"""The n-grams of one length with their figures, and how they are looked up.

An n-gram is known by the place of its first n - 1 symbols in the table below it and by
its last symbol. So one int64 says which n-gram it is, whatever the order, and the
n-grams that share a context stand side by side, in the order of their last symbols.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Keys = NDArray[np.int64]
Places = NDArray[np.int64]

NOWHERE = -1


@dataclass(frozen=True, eq=False)
class NGramTable:
    """All n-grams of one length.

    Attributes:
        keys: int64 (n-grams,), ascending: `context place * base + last symbol`, where
            base is the number of symbols. For unigrams just the symbol, each once.
        log_probabilities: float64 (n-grams,), natural logarithm of the probability of
            the last symbol after the others; -inf where it never comes.
        log_backoffs: float64 (n-grams,), natural logarithm of the weight that shorter
            contexts get after this n-gram; 0 where nothing was seen after it.
    """

    keys: Keys
    log_probabilities: Floats
    log_backoffs: Floats

    def __len__(self) -> int:
        """Return the number of n-grams."""
        return len(self.keys)

    def find(self, contexts: Places, symbols: NDArray[np.integer], base: int) -> Places:
        """Return the places of n-grams, `NOWHERE` for those that are not there.

        Args:
            contexts: (m,) place of each context in the table below, or `NOWHERE`.
            symbols: (m,) last symbol of each.
            base: Number of symbols.
        """
        if not len(self.keys):
            return np.full(len(symbols), NOWHERE, np.int64)
        # A key with the context -1 is below zero, and no key of the table is.
        wanted = contexts * base + symbols
        places = np.searchsorted(self.keys, wanted)
        np.minimum(places, len(self.keys) - 1, out=places)
        return np.where(self.keys[places] == wanted, places, NOWHERE)

    def followers(self, context: int, base: int) -> slice:
        """Return where the n-grams with one context stand."""
        bounds = np.array([context * base, (context + 1) * base], np.int64)
        first, last = np.searchsorted(self.keys, bounds)
        return slice(int(first), int(last))


def places_of_endings(
    tables: tuple[NGramTable, ...], symbols: NDArray[np.integer]
) -> list[Places]:
    """Find the n-grams that end at each place of a row of symbols.

    Args:
        tables: Unigrams, bigrams and so on.
        symbols: (m,) symbols in the order of the text.

    Returns:
        For each table int64 (m,): the place of the n-gram that ends there. It is
        `NOWHERE` where there is none, or where the row has too few symbols before it.
    """
    base = len(tables[0])
    endings = [symbols.astype(np.int64)]
    for table in tables[1:]:
        before = np.empty(len(symbols), np.int64)
        before[:1] = NOWHERE
        before[1:] = endings[-1][:-1]
        endings.append(table.find(before, symbols, base))
    return endings
