"""Rows of different lengths in one array, gathered without a loop over the rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.segments import Positions


@dataclass(frozen=True, eq=False)
class Ragged:
    """Rows of an array: row i is `values[starts[i] : starts[i] + lengths[i]]`.

    Attributes:
        values: what the rows consist of, shape (n,).
        starts: where each row begins, shape (rows,); in any order.
        lengths: how long it is, shape (rows,).
    """

    values: NDArray[Any]
    starts: Positions
    lengths: Positions

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.starts)

    @staticmethod
    def behind_each_other(values: NDArray[Any], lengths: Positions) -> "Ragged":
        """Return rows of these lengths that follow each other in `values`."""
        return Ragged(values, np.cumsum(lengths) - lengths, lengths)

    def row(self, index: int) -> NDArray[Any]:
        """Return one row."""
        start = int(self.starts[index])
        return self.values[start : start + int(self.lengths[index])]

    def take(self, rows: NDArray[np.integer]) -> "Ragged":
        """Return some rows, copied behind each other; a row may be taken often."""
        lengths = self.lengths[rows]
        total = int(lengths.sum())
        shifts = self.starts[rows] - (np.cumsum(lengths) - lengths)
        places = np.repeat(shifts, lengths) + np.arange(total)
        return Ragged.behind_each_other(self.values[places], lengths)


class RaggedWriter:
    """Rows that are put down in any order.

    Args:
        rows: how many there will be.
    """

    def __init__(self, rows: int) -> None:
        """Begin without values."""
        self._starts, self._lengths = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        self._parts: list[NDArray[Any]] = [np.zeros(0, np.int64)]
        self._size = 0

    def put(self, places: NDArray[np.integer], rows: Ragged) -> None:
        """Put rows that lie behind each other at these places."""
        self._starts[places] = self._size + rows.starts
        self._lengths[places] = rows.lengths
        self._parts.append(rows.values)
        self._size += len(rows.values)

    def rows(self) -> Ragged:
        """Return all rows."""
        return Ragged(np.concatenate(self._parts), self._starts, self._lengths)


def groups_of_like_length(lengths: Positions, room: int) -> Iterator[Positions]:
    """Yield the numbers of all rows in groups, rows of like length together.

    Args:
        lengths: of the rows, each at least 1.
        room: most values in a group, were each row as long as its longest one; a row
            that is longer is a group of its own.
    """
    order = np.argsort(lengths, kind="stable")
    ordered = lengths[order]
    stop = len(order)
    while stop:
        start = max(0, stop - max(1, room // int(ordered[stop - 1])))
        yield order[start:stop]
        stop = start
