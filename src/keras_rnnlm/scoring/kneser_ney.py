r"""Estimating an n-gram model: interpolated modified Kneser-Ney smoothing.

Chen and Goodman (1999), "An empirical study of smoothing techniques for language
modeling", section 3; with the conventions of KenLM (Heafield et al. 2013, "Scalable
modified Kneser-Ney language model estimation"). For n-grams h w of each length n, with
a(h w) their adjusted counts, h' the context h without its first symbol, and V words:

    p(w | h)  = max(a(h w) - D(a(h w)), 0) / a(h .)  +  gamma(h) p(w | h')
    gamma(h)  = (D1 N1(h .) + D2 N2(h .) + D3 N3+(h .)) / a(h .)
    p(w | '') = max(a(w) - D(a(w)), 0) / a(.)  +  gamma('') / V

    D(0) = 0,  D(k) = k - (k + 1) Y n_{k+1} / n_k  for k = 1, 2, 3 and above
    Y = n_1 / (n_1 + 2 n_2)

where n_k is how many n-grams of that length have the adjusted count k, and N_k(h .) how
many of those begin with h. The adjusted count of the longest n-grams, and of those that
begin with a start, is how often they come; that of the others is the number of
different symbols that come before them. A start is never predicted and no count of it
goes into the sums; each word of the vocabulary that was never seen has its share of
gamma('') / V. So each distribution sums to one over the vocabulary.

Where a length has no n-gram with count 1, 2 or 3, or a discount D(k) that is not above
0 and at most k, its discounts are 0.5, 1 and 1.5, KenLM's `--discount_fallback`: so it
is with characters, whose few short n-grams have all been seen many times.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.errors import InputError
from keras_rnnlm.scoring.ngram_tables import NOWHERE, Keys, NGramTable, Places

Counts = NDArray[np.int64]
Discounts = tuple[float, float, float]

FALLBACK: Discounts = (0.5, 1.0, 1.5)

# Symbols sorted at once: what bounds the memory beside the tables themselves.
_BLOCK = 1 << 22
_LONGEST = (1 << 31) - 1  # places are counted in int32 while a text is read


@dataclass(frozen=True, eq=False)
class Estimate:
    """What was estimated.

    Attributes:
        tables: Unigrams, bigrams and so on, up to the order.
        discounts: (D1, D2, D3) of each length.
        fallback: For each length, whether its discounts are `FALLBACK`.
    """

    tables: tuple[NGramTable, ...]
    discounts: tuple[Discounts, ...]
    fallback: tuple[bool, ...]


@dataclass(frozen=True, eq=False)
class _Grams:
    """The different n-grams of one length.

    Attributes:
        keys: (n-grams,) as in `NGramTable`.
        counts: (n-grams,) how often each comes.
        suffixes: (n-grams,) place of the n-gram without its first symbol.
        from_start: (n-grams,) whether the first symbol is a start.
    """

    keys: Keys
    counts: Counts
    suffixes: Places
    from_start: NDArray[np.bool_]


def estimate(symbols: NDArray[np.int32], vocabulary_size: int, order: int) -> Estimate:
    """Estimate the tables of a model from a text.

    Memory is that of the tables and 12 bytes a symbol of the text.

    Args:
        symbols: (symbols,) ids below `vocabulary_size`, and `vocabulary_size` itself
            as the start before each history; see `histories.symbols_of`.
        vocabulary_size: Number of words, V.
        order: Length of the longest n-grams, 1 or more.

    Raises:
        InputError: If there is no word in the text, or more than 2,147,483,647.
    """
    if len(symbols) > _LONGEST:
        raise InputError(
            f"Expected a text of at most {_LONGEST:,} tokens, received "
            f"{len(symbols):,}. Estimate the n-gram model on part of it."
        )
    base = vocabulary_size + 1
    levels = [_unigrams(symbols, vocabulary_size)]
    endings = symbols
    for _ in range(1, order):
        grams, endings = _extended(symbols, endings, levels[-1].from_start, base)
        levels.append(grams)
    return _smoothed(levels, vocabulary_size)


def _unigrams(symbols: NDArray[np.int32], vocabulary_size: int) -> _Grams:
    """Count the symbols; the start's own count is left at zero."""
    counts = np.bincount(symbols, minlength=vocabulary_size + 1)
    counts[vocabulary_size] = 0
    if not counts.any():
        raise InputError(
            "Expected a training text with at least one token to predict, received "
            "none. Give a longer text."
        )
    keys = np.arange(vocabulary_size + 1)
    return _Grams(keys, counts, np.zeros_like(keys), keys == vocabulary_size)


def _extended(
    symbols: NDArray[np.int32],
    endings: NDArray[np.int32],
    from_start: NDArray[np.bool_],
    base: int,
) -> tuple[_Grams, NDArray[np.int32]]:
    """Count the n-grams that are one symbol longer.

    Args:
        symbols: (symbols,) the text.
        endings: (symbols,) place of the shorter n-gram that ends at each symbol, or
            `NOWHERE`.
        from_start: Whether each shorter n-gram begins with a start.
        base: Number of different symbols.

    Returns:
        The n-grams, and which of them ends at each symbol.
    """
    longer = np.full(len(symbols), NOWHERE, np.int32)
    blocks: list[tuple[int, Keys, Counts]] = []
    for begin in range(1, len(symbols), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        before, last = endings[:-1][begin - 1 : begin - 1 + _BLOCK], symbols[block]
        # No n-gram has a start behind its first symbol.
        valid = np.flatnonzero((before != NOWHERE) & (last != base - 1))
        keys = before[valid].astype(np.int64) * base + last[valid]
        kinds, which, counts = np.unique(keys, return_inverse=True, return_counts=True)
        blocks.append((begin, kinds, counts))
        longer[valid + begin] = which
    if not blocks:
        blocks.append((1, np.empty(0, np.int64), np.empty(0, np.int64)))
    keys, which = np.unique(
        np.concatenate([kinds for _, kinds, _ in blocks]), return_inverse=True
    )
    weights = np.concatenate([counts for _, _, counts in blocks])
    counts = np.bincount(which, weights, len(keys)).astype(np.int64)
    suffixes = np.empty(len(keys), np.int64)
    offset = 0
    for begin, kinds, _ in blocks:
        places = np.flatnonzero(longer[begin : begin + _BLOCK] != NOWHERE) + begin
        # From the number within its block to the number among all.
        longer[places] = which[offset + longer[places]]
        suffixes[longer[places]] = endings[places]
        offset += len(kinds)
    return _Grams(keys, counts, suffixes, from_start[keys // base]), longer


def _smoothed(levels: list[_Grams], vocabulary_size: int) -> Estimate:
    """Turn counts into probabilities, from the shortest n-grams to the longest."""
    base = vocabulary_size + 1
    tables: list[NGramTable] = []
    found = [_discounts(_adjusted(levels, n)) for n in range(len(levels))]
    lower, logs, contexts = np.array([1 / vocabulary_size]), np.empty(0), 1
    keys = levels[0].keys
    for n, grams in enumerate(levels):
        adjusted = _adjusted(levels, n)
        of = grams.keys // base if n else np.zeros(len(grams.keys), np.int64)
        discount = np.array([0.0, *found[n][0]])[np.minimum(adjusted, 3)]
        totals = np.bincount(of, adjusted, contexts)
        freed = np.bincount(of, discount, contexts)
        gamma = np.divide(freed, totals, np.ones(contexts), where=totals > 0)
        if n:
            tables.append(NGramTable(keys, logs, np.log(gamma)))
        p = (adjusted - discount) / totals[of] + gamma[of] * lower[grams.suffixes]
        if n == 0:
            p[vocabulary_size] = 0.0
        with np.errstate(divide="ignore"):  # a start has the probability zero
            logs = np.log(p)
        lower, keys, contexts = p, grams.keys, len(grams.keys)
    tables.append(NGramTable(keys, logs, np.zeros(len(keys))))
    return Estimate(
        tuple(tables), tuple(d for d, _ in found), tuple(f for _, f in found)
    )


def _adjusted(levels: list[_Grams], n: int) -> Counts:
    """Return the adjusted counts of the n-grams of length n + 1."""
    grams = levels[n]
    if n + 1 == len(levels):
        return grams.counts
    before = np.bincount(levels[n + 1].suffixes, minlength=len(grams.keys))
    return np.where(grams.from_start, grams.counts, before)


def _discounts(adjusted: Counts) -> tuple[Discounts, bool]:
    """Return D1, D2 and D3 of a length, and whether they are `FALLBACK`."""
    n = np.bincount(np.minimum(adjusted, 5), minlength=6).astype(np.float64)
    if not n[1:4].all():
        return FALLBACK, True
    y = n[1] / (n[1] + 2 * n[2])
    d1, d2, d3 = (float(k - (k + 1) * y * n[k + 1] / n[k]) for k in (1, 2, 3))
    if not (0 < d1 <= 1 and 0 < d2 <= 2 and 0 < d3 <= 3):
        return FALLBACK, True
    return (d1, d2, d3), False
