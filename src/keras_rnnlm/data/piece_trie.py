"""All pieces that stand anywhere in some words, found for all words together."""

from collections.abc import Iterator, Sequence

import numpy as np

from keras_rnnlm.data.segments import Positions


class PieceTrie:
    """The pieces of a vocabulary as a tree, a byte an edge.

    Args:
        pieces: the bytes of each id, each at least one.

    Attributes:
        longest: bytes of the longest piece.
    """

    def __init__(self, pieces: Sequence[bytes]) -> None:
        """See the class."""
        self.longest = max(len(piece) for piece in pieces)
        edges: dict[int, int] = {}
        ends = {}
        for index, piece in enumerate(pieces):
            node = 0
            for byte in piece:
                node = edges.setdefault(node * 256 + byte, len(edges) + 1)
            ends[node] = index
        # One edge more, which no search finds, so that every search ends at one.
        keys = np.array([*edges, np.iinfo(np.int64).max], np.int64)
        order = np.argsort(keys)
        self._keys = keys[order]
        self._nodes = np.array([*edges.values(), 0], np.int64)[order]
        self._ids = np.full(len(edges) + 1, -1, np.int64)
        self._ids[list(ends)] = list(ends.values())

    def find(
        self, letters: Positions, ends: Positions
    ) -> Iterator[tuple[int, Positions, Positions]]:
        """Yield pieces by length: the length, first places and ids.

        Args:
            letters: bytes of words behind each other, shape (n,).
            ends: where the word of each byte ends, shape (n,).
        """
        places, nodes = np.arange(len(letters)), np.zeros(len(letters), np.int64)
        for length in range(1, self.longest + 1):
            keys = nodes * 256 + letters[places + length - 1]
            edges = np.searchsorted(self._keys, keys)
            there = self._keys[edges] == keys
            places, nodes = places[there], self._nodes[edges[there]]
            ids = self._ids[nodes]
            yield length, places[ids >= 0], ids[ids >= 0]
            inside = places + length < ends[places]
            places, nodes = places[inside], nodes[inside]
            if not len(places):
                break
