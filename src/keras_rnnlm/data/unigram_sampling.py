"""Segmentations drawn from a unigram model: sub-word regularization (Kudo 2018).

A segmentation x of a word is drawn with probability P(x)^alpha / sum_y P(y)^alpha.
P(x) is the product of its pieces' probabilities, and y goes over all segmentations
(Kudo's l = infinity). Forward filtering sums over all ways to the end of each prefix;
backward sampling then draws the last piece, the one before it, and so on.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.piece_trie import PieceTrie
from keras_rnnlm.data.ragged import Ragged, RaggedWriter, groups_of_like_length
from keras_rnnlm.data.segments import Positions

_ROOM = 1 << 21  # entries of the lattices that are held together


class UnigramSampling:
    """Draws segmentations into unigram pieces.

    Args:
        pieces: the bytes of each id; the 256 single bytes are among them.
        scores: logarithm (natural) of each piece's probability, shape (ids,).
        alpha: 1 draws from the model itself, 0 each segmentation equally often; the
            larger, the more often the best one.
    """

    def __init__(
        self, pieces: Sequence[bytes], scores: Sequence[float], alpha: float
    ) -> None:
        """See the class."""
        self._trie = PieceTrie(pieces)
        self._scores = alpha * np.array(scores)

    def draw(
        self, words: Ragged, numbers: Positions, random: np.random.Generator
    ) -> Ragged:
        """Draw segmentations, each independently of the others.

        Args:
            words: bytes of each word, at least one.
            numbers: how many segmentations of each word, shape (words,).
            random: decides.

        Returns:
            Ids of pieces, a row a segmentation, those of the first word first.
        """
        firsts = np.cumsum(numbers) - numbers
        drawn = RaggedWriter(int(numbers.sum()))
        for group in groups_of_like_length(words.lengths, _ROOM // self._trie.longest):
            lattice = _Lattice(words.take(group), self._trie, self._scores)
            counts = numbers[group]
            every = np.arange(int(counts.sum()))
            shifts = firsts[group] - (np.cumsum(counts) - counts)
            some = np.repeat(np.arange(len(group)), counts)
            drawn.put(every + np.repeat(shifts, counts), lattice.draw(some, random))
        return drawn.rows()


class _Lattice:
    """All segmentations of some words.

    Of words W, n bytes in the longest and L in the longest piece, arrays have the shape
    (W, n + 1, L): the entry (w, j, l - 1) is of the piece of l bytes that ends before
    byte j of word w.
    """

    def __init__(
        self, words: Ragged, trie: PieceTrie, scores: NDArray[np.float64]
    ) -> None:
        self._lengths = words.lengths
        longest = int(words.lengths.max())
        reach = min(trie.longest, longest)
        shape = (len(words), longest + 1, reach)
        self._ids = np.zeros(shape, np.int32)
        weights = np.full(shape, -np.inf)
        owner = np.repeat(np.arange(len(words)), words.lengths)
        begins = np.arange(len(owner)) - words.starts[owner]
        ends = (words.starts + words.lengths)[owner]
        for length, places, ids in trie.find(words.values.astype(np.int64), ends):
            entry = (owner[places], begins[places] + length, length - 1)
            self._ids[entry] = ids
            weights[entry] = scores[ids]
        self._shares = _filtered(weights)

    def draw(self, words: Positions, random: np.random.Generator) -> Ragged:
        """Draw a segmentation of each of these words, given by their numbers."""
        rows, ends = np.arange(len(words)), self._lengths[words]
        steps = []
        counts = np.zeros(len(words), np.int64)
        while len(rows):
            shares = self._shares[words[rows], ends]  # (rows, L)
            # In (0, total]: an entry of no probability is never chosen.
            drawn = (1.0 - random.random(len(rows))) * shares[:, -1]
            back = (shares < drawn[:, None]).sum(axis=1)
            steps.append((rows, self._ids[words[rows], ends, back]))
            counts[rows] += 1
            ends = ends - back - 1
            rows, ends = rows[ends > 0], ends[ends > 0]
        # The last piece was drawn first.
        ids = np.zeros(int(counts.sum()), np.int64)
        stops = np.cumsum(counts)
        for number, (some, pieces) in enumerate(steps, 1):
            ids[stops[some] - number] = pieces
        return Ragged(ids, stops - counts, counts)


def _filtered(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn weights of pieces into summed probabilities of each being the last.

    Args:
        weights: logarithms, shape (W, n + 1, L); changed into the result.

    Returns:
        For each word and each prefix of it the probabilities of its last piece,
        summed over the pieces not longer: shape (W, n + 1, L), the last entry 1.
    """
    words, places, reach = weights.shape
    forward = np.full((words, places), -np.inf)  # logarithm of the sum of all ways
    forward[:, 0] = 0.0
    for end in range(1, places):
        near = min(reach, end)
        ways = weights[:, end, :near] + forward[:, end - near : end][:, ::-1]
        top = ways.max(axis=1, keepdims=True)
        top[np.isneginf(top)] = 0.0  # beyond the end of a shorter word
        summed = np.cumsum(np.exp(ways - top), axis=1)
        total = summed[:, -1:]
        with np.errstate(divide="ignore"):
            forward[:, end] = (top + np.log(total))[:, 0]
        weights[:, end, :near] = summed / np.where(total > 0, total, 1.0)
        weights[:, end, near:] = 1.0
    return weights
