"""Sequences merged where they begin alike: each distinct prefix is one node."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Level:
    """The nodes of one depth: the distinct prefixes of one length.

    Attributes:
        tokens: int32 (nodes,), the last token of each prefix.
        parents: int64 (nodes,), the node that each prefix without its last token is,
            in the level above; never decreasing. Zeros in the first level.
    """

    tokens: NDArray[np.int32]
    parents: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PrefixTree:
    """Sequences of token ids as a forest of their prefixes.

    Attributes:
        levels: One for each length of prefix, from 1 on.
        places: int64 (sequences, longest), the node of `levels[d]` that a sequence's
            first d + 1 tokens are; -1 past its end.
    """

    levels: list[Level]
    places: NDArray[np.int64]

    @staticmethod
    def of(sequences: Sequence[NDArray[np.integer]]) -> "PrefixTree":
        """Merge sequences of ids, each (tokens,), any of them empty or repeated."""
        table = _table(sequences)
        # In lexicographic order those with a common prefix stand together, and a node
        # begins wherever a sequence first differs from the one before it.
        order = np.lexsort(table.T[::-1]) if table.size else np.arange(len(table))
        table = table[order]
        begins = np.ones(table.shape, np.bool_)
        begins[1:] = np.logical_or.accumulate(table[1:] != table[:-1], axis=1)
        begins &= table >= 0
        nodes = np.cumsum(begins, axis=0) - 1
        levels = []
        for depth in range(table.shape[1]):
            first = np.flatnonzero(begins[:, depth])
            parents = nodes[first, depth - 1] if depth else np.zeros_like(first)
            levels.append(Level(table[first, depth], parents))
        places = np.empty_like(nodes)
        places[order] = np.where(table >= 0, nodes, -1)
        return PrefixTree(levels, places)


def _table(sequences: Sequence[NDArray[np.integer]]) -> NDArray[np.int32]:
    """Return the ids as (sequences, longest), filled up with -1."""
    lengths = np.array([len(ids) for ids in sequences], np.int64)
    longest = int(lengths.max(initial=0))
    table = np.full((len(lengths), longest), -1, np.int32)
    if longest:
        table[np.arange(longest) < lengths[:, None]] = np.concatenate(sequences)
    return table
