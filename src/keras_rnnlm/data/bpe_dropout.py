"""BPE-dropout: words merged with some of the merges left out (Provilkov et al. 2020).

A word begins as single bytes. In each step every merge that could be done, at each
place, is left out with probability p, and of those that are left the one learnt first
is done, the leftmost where there are several. The word is finished when none is left.
With p = 0 that is byte-pair encoding.

All words of a group take their steps together, one merge each.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.ragged import Ragged, RaggedWriter, groups_of_like_length
from keras_rnnlm.data.segments import Positions

_NONE = np.int64(1 << 30)  # the rank of what is no merge: above all ranks
_ROOM = 1 << 20  # symbols that are merged together


class BPEDropout:
    """Draws segmentations into byte pairs.

    Args:
        pieces: the bytes of each id; the 256 single bytes are among them.
        merges: ids of left and right part, in the order in which they were learnt.
        rate: p, from 0 to 1.
    """

    def __init__(
        self, pieces: Sequence[bytes], merges: Sequence[tuple[int, int]], rate: float
    ) -> None:
        """See the class."""
        self._rate = np.float32(rate)
        ids = {piece: index for index, piece in enumerate(pieces)}
        self._byte_ids = np.array([ids[bytes([byte])] for byte in range(256)], np.int64)
        self._size = len(pieces)
        pairs = np.array(merges, np.int64).reshape(-1, 2)
        merged = [ids[pieces[left] + pieces[right]] for left, right in merges]
        self._merged = np.array(merged, np.int64)
        keys = pairs[:, 0] * self._size + pairs[:, 1]
        self._ranks = np.argsort(keys, kind="stable")
        # One more, which nothing is equal to, so that every search ends at an entry.
        self._keys = np.append(keys[self._ranks], np.iinfo(np.int64).max)
        self._ranks = np.append(self._ranks, _NONE)

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
        wanted = np.repeat(np.arange(len(words)), numbers)
        drawn = RaggedWriter(len(wanted))
        for rows in groups_of_like_length(words.lengths[wanted], _ROOM):
            for some, ids in self._merge(words.take(wanted[rows]), random):
                drawn.put(rows[some], ids)
        return drawn.rows()

    def _merge(
        self, words: Ragged, random: np.random.Generator
    ) -> Iterator[tuple[Positions, Ragged]]:
        """Yield the numbers of words that are finished, and their pieces."""
        rows, lengths = np.arange(len(words)), words.lengths
        symbols = self._byte_ids[words.values]  # (n,)
        # Rank of the merge of each symbol with the next one in its word.
        ranks = self._rank(symbols, np.append(symbols[1:], 0))
        ranks[words.starts + lengths - 1] = _NONE
        while len(rows):
            starts = np.cumsum(lengths) - lengths
            dropped = random.random(len(symbols), np.float32) < self._rate
            left = np.where(dropped, _NONE, ranks)
            # The lowest rank of each word, and its first place, in one number.
            best = np.minimum.reduceat((left << 32) | np.arange(len(left)), starts)
            rank, place = best >> 32, best & 0xFFFFFFFF
            over = rank == _NONE
            ended = np.repeat(over, lengths)
            if over.any():
                ids = Ragged.behind_each_other(symbols[ended], lengths[over])
                yield rows[over], ids
            live = ~over
            first, last = starts[live], (starts + lengths)[live] - 1
            rank, place = rank[live], place[live]
            symbols[place] = self._merged[rank]
            kept = ~ended
            kept[place + 1] = False
            # What stands before and behind the new symbol has other merges now.
            behind = np.minimum(place + 2, last)
            ranks[place] = self._rank(symbols[place], symbols[behind])
            ranks[place[place + 1 == last]] = _NONE
            inner = place > first
            middle = place[inner]
            ranks[middle - 1] = self._rank(symbols[middle - 1], symbols[middle])
            symbols, ranks = symbols[kept], ranks[kept]
            rows, lengths = rows[live], lengths[live] - 1

    def _rank(self, left: Positions, right: Positions) -> NDArray[np.int64]:
        """Return the ranks of merges of pairs; `_NONE` for those that are none."""
        keys = left * self._size + right
        places = np.searchsorted(self._keys, keys)
        return np.where(self._keys[places] == keys, self._ranks[places], _NONE)
