"""Which targets each call of the scorer takes: rows that work through segments.

Segments are laid into the rows of a batch, longest first; a row whose segment has ended
is given the next waiting one. Calls have a few constant shapes, since each shape is
compiled once. Nothing here knows a network, so that a scoring can be planned without
one.
"""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

BATCH_SIZE = 64
STEPS = (8, 32, 128, 512)
LOGITS_BYTES = 128 << 20
# Bounds the gates of the recurrent layers as LOGITS_BYTES bounds the output layer.
POSITIONS = 8192

# A call costs about as much as this many positions, whatever its shape.
_CALL_COST = 32
# Fewer rows are another shape to compile: worth it only for this much left to do.
_LONG = 4096


def positions_of_call(vocabulary_size: int) -> int:
    """Return how many positions a call may have, rows times steps."""
    return min(POSITIONS, LOGITS_BYTES // (4 * vocabulary_size))


class Layout:
    """The rows of a batch, and the segments that wait for one.

    Attributes:
        position: int64 (rows,), place of the next target in the ids.
        place: int64 (rows,), its place in the result.
        left: int64 (rows,), targets left of the row's segment.
        fresh: bool (rows,), whether the row begins a segment.
    """

    def __init__(
        self,
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
        offsets: NDArray[np.int64],
        vocabulary_size: int,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        """Lay out empty rows; `fill` gives them segments.

        Args:
            starts: (segments,) first target of each, in the ids.
            lengths: (segments,) targets of each.
            offsets: (segments,) place of the first target of each, in the result.
            vocabulary_size: Bounds the positions of a call.
            batch_size: Most rows.
        """
        self._starts, self._lengths, self._offsets = starts, lengths, offsets
        queue = np.argsort(-lengths, kind="stable")
        self._queue = queue[: np.count_nonzero(lengths)]
        self._positions = positions_of_call(vocabulary_size)
        widest = max(1, self._positions // STEPS[0])
        rows = min(batch_size, widest, _round_up(len(self._queue)))
        self.position = np.ones(rows, np.int64)
        self.place = np.zeros(rows, np.int64)
        self.left = np.zeros(rows, np.int64)
        self.fresh = np.ones(rows, np.bool_)

    @property
    def rows(self) -> int:
        """Rows of the next call."""
        return len(self.left)

    def fill(self) -> bool:
        """Give waiting segments to rows that have ended; false when all is done."""
        free = np.flatnonzero(self.left == 0)
        taken, self._queue = self._queue[: len(free)], self._queue[len(free) :]
        rows = free[: len(taken)]
        self.position[rows] = self._starts[taken]
        self.place[rows] = self._offsets[taken]
        self.left[rows] = self._lengths[taken]
        self.fresh[rows] = True
        return bool(self.left.any())

    def narrow(self) -> NDArray[np.int64] | None:
        """Drop idle rows once most are and others have much left.

        Returns:
            The rows that are kept; None if all are.
        """
        busy = np.flatnonzero(self.left)
        if len(busy) * 4 > self.rows or int(self.left.max()) < _LONG:
            return None
        idle = np.flatnonzero(self.left == 0)
        kept = np.append(busy, idle)[: _round_up(len(busy))]
        for name in ("position", "place", "left", "fresh"):
            setattr(self, name, getattr(self, name)[kept])
        return kept

    def steps(self) -> int:
        """Choose the number of steps that wastes least: most targets for the work."""
        within = [s for s in STEPS if s * self.rows <= self._positions] or [STEPS[0]]
        return max(
            within,
            key=lambda s: np.minimum(self.left, s).sum() / (self.rows * s + _CALL_COST),
        )

    def take(self, steps: int) -> None:
        """Go on behind the next targets of every row, `steps` at most."""
        taken = np.minimum(self.left, steps)
        self.position += taken
        self.place += taken
        self.left -= taken
        self.fresh[:] = False


def planned_calls(
    lengths: NDArray[np.int64], vocabulary_size: int, batch_size: int = BATCH_SIZE
) -> Counter[tuple[int, int]]:
    """Return how many calls of each shape (rows, steps) segments will take.

    Args:
        lengths: (segments,) targets of each.
        vocabulary_size: Number of token ids.
        batch_size: Most rows.
    """
    nowhere = np.zeros(len(lengths), np.int64)
    layout = Layout(nowhere, lengths, nowhere, vocabulary_size, batch_size)
    calls: Counter[tuple[int, int]] = Counter()
    while layout.fill():
        layout.narrow()
        steps = layout.steps()
        calls[layout.rows, steps] += 1
        layout.take(steps)
    return calls


def _round_up(rows: int) -> int:
    """Return the next power of two, so that few batch sizes are ever compiled."""
    return 1 << max(rows - 1, 0).bit_length()
