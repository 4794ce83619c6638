"""Slow, independent references for what is drawn of words, and a test of goodness."""

from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from keras_rnnlm.data.ragged import Ragged

Segmentation = tuple[bytes, ...]
LETTERS = [bytes([byte]) for byte in range(256)]


def spelled(words: Iterable[bytes]) -> Ragged:
    """Words as the samplers take them."""
    every = list(words)
    lengths = np.array([len(word) for word in every], np.int64)
    return Ragged.behind_each_other(np.frombuffer(b"".join(every), np.uint8), lengths)


def segmentations(
    sampler: Any, pieces: list[bytes], word: bytes, number: int, seed: int = 0
) -> Counter[Segmentation]:
    """Draw a word many times, beside shorter and longer ones."""
    beside = spelled([b"a", word, word + b"abc", b"zz"])
    numbers = np.array([3, number, 7, 1])
    drawn = sampler.draw(beside, numbers, np.random.default_rng(seed))
    assert len(drawn) == numbers.sum()
    rows = [tuple(pieces[i] for i in drawn.row(r)) for r in range(len(drawn))]
    wanted = [b"a"] * 3 + [word] * number + [word + b"abc"] * 7 + [b"zz"]
    assert [b"".join(row) for row in rows] == wanted
    return Counter(rows[3 : 3 + number])


def dropout_law(
    word: bytes, merges: list[tuple[bytes, bytes]], rate: float
) -> dict[Segmentation, float]:
    """Every result of BPE-dropout and its probability, by all sets of merges."""

    @cache
    def ends(symbols: Segmentation) -> dict[Segmentation, float]:
        pairs = list(zip(symbols, symbols[1:], strict=False))
        places = [i for i, pair in enumerate(pairs) if pair in merges]
        law: Counter[Segmentation] = Counter()
        for dropped in product((False, True), repeat=len(places)):
            share = float(np.prod([rate if gone else 1 - rate for gone in dropped]))
            left = [i for i, gone in zip(places, dropped, strict=True) if not gone]
            if not left:
                law[symbols] += share
                continue
            at = min(left, key=lambda i: (merges.index(pairs[i]), i))
            merged = (*symbols[:at], symbols[at] + symbols[at + 1], *symbols[at + 2 :])
            for end, probability in ends(merged).items():
                law[end] += share * probability
        return dict(law)

    return ends(tuple(bytes([byte]) for byte in word))


def unigram_law(
    word: bytes, scores: dict[bytes, float], alpha: float
) -> dict[Segmentation, float]:
    """Every segmentation and its probability, by trying all sets of cuts."""
    weights = {}
    for cuts in product((False, True), repeat=len(word) - 1):
        bounds = [0, *(i for i, cut in enumerate(cuts, 1) if cut), len(word)]
        pieces = tuple(word[a:b] for a, b in zip(bounds, bounds[1:], strict=False))
        if all(piece in scores for piece in pieces):
            weights[pieces] = np.exp(alpha * sum(scores[piece] for piece in pieces))
    total = sum(weights.values())
    return {pieces: float(weight / total) for pieces, weight in weights.items()}


def check_law(found: Counter[Segmentation], law: dict[Segmentation, float]) -> None:
    """Pearson's test at five standard deviations; what is rare counts as one kind."""
    number = found.total()
    assert set(found) <= {key for key, share in law.items() if share > 0}
    assert abs(sum(law.values()) - 1) < 1e-9
    common = [key for key, share in law.items() if share * number >= 5]
    rest = 1 - sum(law[key] for key in common)
    wanted = {key: number * law[key] for key in common}
    statistic = sum((found[key] - n) ** 2 / n for key, n in wanted.items())
    free = len(common) - 1
    if rest * number >= 5:
        other = number - sum(found[key] for key in common)
        statistic += (other - number * rest) ** 2 / (number * rest)
        free += 1
    assert statistic <= free + 5 * np.sqrt(2 * max(free, 1))


def check_spelling(
    sampler: Any, pieces: list[bytes], words: list[bytes], seed: int
) -> None:
    """Rows are as many as asked for, spell their words, and hang on the seed alone."""
    numbers = np.arange(len(words)) % 4
    rows = sampler.draw(spelled(words), numbers, np.random.default_rng(seed))
    found = [b"".join(pieces[i] for i in rows.row(r)) for r in range(len(rows))]
    assert found == [w for w, n in zip(words, numbers, strict=True) for _ in range(n)]
    again = sampler.draw(spelled(words), numbers, np.random.default_rng(seed))
    np.testing.assert_array_equal(rows.values, again.values)
