"""Segments: half-open ranges of target positions that one state runs through.

Targets of a segment are `ids[start:stop]`, its inputs `ids[start - 1:stop - 1]`.
A file is a segment, and so is a line; both training by sentences and scoring by
sentences take their lines from here, so that they mean the same thing.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]

_BLOCK = 1 << 22


class Text(Protocol):
    """What the batches need of a `keras_rnnlm.data.store.EncodedText`."""

    @property
    def ids(self) -> NDArray[np.unsignedinteger]:
        """Token ids, shape (n,)."""

    @property
    def starts(self) -> Positions:
        """First target position of each file."""

    @property
    def stops(self) -> Positions:
        """Position after the last target of each file."""

    @property
    def line_end_id(self) -> int | None:
        """The id that ends a line, if any does."""


def line_segments(
    ids: NDArray[np.unsignedinteger],
    starts: Positions,
    stops: Positions,
    line_end_id: int | None,
) -> tuple[Positions, Positions]:
    """Cut the segments of files into those of their lines.

    A line holds its line end. What follows the last line end of a file, if
    anything does, is a line too. Every target keeps its place: the lines of a file
    cover the file's segment without gaps.

    Args:
        ids: token ids of shape (n,), read block by block.
        starts: first target position of each file, shape (files,).
        stops: position after the last target of each file, shape (files,).
        line_end_id: the id that ends a line; None where the vocabulary has none,
            and each file is then one line.

    Returns:
        The first target position of each line and the position after its last.
    """
    line_starts: list[Positions] = []
    line_stops: list[Positions] = []
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        if start >= stop:
            continue
        ends = [_positions_after(ids, start, stop, line_end_id)]
        if not len(ends[0]) or ends[0][-1] != stop:
            ends.append(np.array([stop], dtype=np.int64))
        line_stops.extend(ends)
        line_starts.append(np.array([start], dtype=np.int64))
        line_starts.extend(part[:-1] if part is ends[-1] else part for part in ends)
    if not line_starts:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate(line_starts), np.concatenate(line_stops)


def _positions_after(
    ids: NDArray[np.unsignedinteger], start: int, stop: int, symbol: int | None
) -> Positions:
    """Return the positions right after each `symbol` in `ids[start:stop]`."""
    if symbol is None:
        return np.empty(0, np.int64)
    found = [
        np.flatnonzero(ids[block : min(block + _BLOCK, stop)] == symbol) + block + 1
        for block in range(start, stop, _BLOCK)
    ]
    return np.concatenate(found).astype(np.int64, copy=False)


def cut_segments(
    starts: Positions, stops: Positions, longest: int
) -> tuple[Positions, Positions]:
    """Cut segments longer than `longest` targets into near-equal pieces.

    Args:
        starts: first target position of each segment, shape (n,).
        stops: position after the last target of each segment, shape (n,).
        longest: most targets a piece may have, at least 1.

    Returns:
        Starts and stops of the pieces, in the order of the text; together they
        cover exactly the targets of the segments given.
    """
    lengths = stops - starts
    pieces = np.maximum(-(-lengths // longest), 1)
    owner = np.repeat(np.arange(len(starts)), pieces)
    first = np.cumsum(pieces) - pieces
    number = np.arange(len(owner)) - first[owner]
    low = starts[owner] + lengths[owner] * number // pieces[owner]
    high = starts[owner] + lengths[owner] * (number + 1) // pieces[owner]
    return low, high
