"""The negative log-likelihood of every token of many segments, side by side.

Segments are laid into the rows of a batch, longest first. Each call of the network
takes the next few tokens of every row and the state the row had before; a row whose
segment has ended is given the next waiting one, with a zero state. So nothing is padded
but the last call of each segment, and that padding comes after all that counts. Calls
have a few constant shapes, since each shape is compiled once.

Only (rows, steps) arrays come back from a call: the logits stay inside, and the number
of steps is chosen so that they stay below `LOGITS_BYTES`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.models.compiled import compiled_once
from keras_rnnlm.models.packed import PackedNetwork
from keras_rnnlm.scoring.checks import check_ids, check_nats

BATCH_SIZE = 64
STEPS = (8, 32, 128, 512)
LOGITS_BYTES = 128 << 20
# Bounds the gates of the recurrent layers as LOGITS_BYTES bounds the output layer.
POSITIONS = 8192

# A call costs about as much as this many positions, whatever its shape.
_CALL_COST = 32
# Fewer rows are another shape to compile: worth it only for this much left to do.
_LONG = 4096

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class SegmentScores:
    """What the network says of each target, in the order of the segments.

    Attributes:
        nats: float32 (targets,), negative natural-log probability of each target.
        correct: bool (targets,), whether the target was the likeliest token.
        offsets: int64 (segments + 1,); segment i is `nats[offsets[i]:offsets[i + 1]]`.
    """

    nats: NDArray[np.float32]
    correct: NDArray[np.bool_]
    offsets: NDArray[np.int64]


def score_segments(
    network: keras.Model,
    ids: NDArray[np.integer],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> SegmentScores:
    """Score the targets `ids[start:stop]` of each segment, from a zero state.

    The inputs of a segment are `ids[start - 1 : stop - 1]`. The result does not depend
    on the batch size or on which segments are scored together, beyond the rounding of
    float32 (1e-5 nats a token).

    Args:
        network: An `RNNLM`, or any model with its `initial_state`, `hidden` and
            `cross_entropy`.
        ids: (tokens,) token ids; may be memory-mapped.
        starts: (segments,) first target position of each; at least 1.
        stops: (segments,) position after the last target of each.
        batch_size: Most segments scored side by side, 64 if absent; fewer for a
            vocabulary so large that their logits would take too much memory.
        progress: Called with the numbers of targets done and of all.

    Raises:
        InputError: If a probability is not a number, or an id is not in the network's
            vocabulary.
        ValueError: If `batch_size` is below 1, or a segment begins at position 0.
    """
    starts, stops = np.asarray(starts, np.int64), np.asarray(stops, np.int64)
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"Expected batch_size of 1 or more, received {batch_size}.")
    lengths = np.maximum(stops - starts, 0)
    if np.any(starts[lengths > 0] < 1):
        raise ValueError("Expected segments from position 1 on: targets need an input.")
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    total = int(offsets[-1])
    nats, correct = np.empty(total, np.float32), np.empty(total, np.bool_)
    batch = _Batch(network, starts, lengths, offsets, batch_size or BATCH_SIZE)
    done = 0
    while batch.fill():
        places, chunk_nats, chunk_correct = batch.advance(ids)
        nats[places], correct[places] = chunk_nats, chunk_correct
        done += len(places)
        if progress is not None:
            progress(done, total)
    check_nats(nats)
    return SegmentScores(nats, correct, offsets)


def positions_of_call(vocabulary_size: int) -> int:
    """Return how many positions a call may have, rows times steps."""
    return min(POSITIONS, LOGITS_BYTES // (4 * vocabulary_size))


class _Batch:
    """Rows that work through a queue of segments, longest first."""

    def __init__(
        self,
        network: keras.Model,
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
        offsets: NDArray[np.int64],
        batch_size: int,
    ) -> None:
        """Lay out empty rows; `fill` gives them segments."""
        self._starts, self._lengths, self._offsets = starts, lengths, offsets
        queue = np.argsort(-lengths, kind="stable")
        self._queue = queue[: np.count_nonzero(lengths)]
        self._vocabulary_size = network.vocabulary_size
        self._positions = positions_of_call(self._vocabulary_size)
        widest = max(1, self._positions // STEPS[0])
        rows = min(batch_size, widest, _round_up(len(self._queue)))
        if isinstance(network, PackedNetwork):
            self._chunk: Callable[..., Any] = network.score_chunk
        else:
            self._chunk = compiled_once(network, _score_chunk)
        self._state = keras.tree.map_structure(
            ops.convert_to_numpy, network.initial_state(rows)
        )
        self._position = np.ones(rows, np.int64)  # next target, in ids
        self._place = np.zeros(rows, np.int64)  # next target, in the result
        self._left = np.zeros(rows, np.int64)  # targets left of the row's segment
        self._fresh = np.ones(rows, np.bool_)  # whether the state starts from zero

    def fill(self) -> bool:
        """Give waiting segments to rows that have ended; false when all is done."""
        free = np.flatnonzero(self._left == 0)
        taken, self._queue = self._queue[: len(free)], self._queue[len(free) :]
        rows = free[: len(taken)]
        self._position[rows] = self._starts[taken]
        self._place[rows] = self._offsets[taken]
        self._left[rows] = self._lengths[taken]
        self._fresh[rows] = True
        if not self._left.any():
            return False
        self._drop_idle_rows()
        return True

    def advance(
        self, ids: NDArray[np.integer]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]:
        """Score the next targets of every row; return (places, nats, correct)."""
        step = np.arange(self._steps())
        counted = step < self._left[:, None]  # (rows, steps)
        at = np.where(counted, self._position[:, None] + step, 1)
        inputs = np.where(counted, ids[at - 1], 0).astype(np.int32)
        targets = np.where(counted, ids[at], 0).astype(np.int32)
        check_ids(self._vocabulary_size, inputs, targets)
        nats, correct, self._state = self._chunk(
            inputs, targets, self._fresh.copy(), self._state
        )
        places = (self._place[:, None] + step)[counted]
        taken = counted.sum(axis=1)
        self._position += taken
        self._place += taken
        self._left -= taken
        self._fresh[:] = False
        return (
            places,
            ops.convert_to_numpy(nats)[counted],
            ops.convert_to_numpy(correct)[counted],
        )

    def _steps(self) -> int:
        """Choose the number of steps that wastes least: most targets for the work."""
        rows = len(self._left)
        within = [s for s in STEPS if s * rows <= self._positions] or [STEPS[0]]
        return max(
            within,
            key=lambda s: np.minimum(self._left, s).sum() / (rows * s + _CALL_COST),
        )

    def _drop_idle_rows(self) -> None:
        """Narrow the batch once most rows have nothing left and others have much."""
        busy = np.flatnonzero(self._left)
        if len(busy) * 4 > len(self._left) or int(self._left.max()) < _LONG:
            return
        idle = np.flatnonzero(self._left == 0)
        kept = np.append(busy, idle)[: _round_up(len(busy))]
        for name in ("_position", "_place", "_left", "_fresh"):
            setattr(self, name, getattr(self, name)[kept])
        self._state = keras.tree.map_structure(
            lambda value: ops.convert_to_numpy(value)[kept], self._state
        )


def _round_up(rows: int) -> int:
    """Return the next power of two, so that few batch sizes are ever compiled."""
    return 1 << max(rows - 1, 0).bit_length()


def _score_chunk(
    network: keras.Model, inputs: Any, targets: Any, fresh: Any, state: Any
) -> tuple[Any, Any, Any]:
    """Score one chunk; this runs inside the compiled function.

    Args:
        network: The network.
        inputs: int32 (B, T) ids.
        targets: int32 (B, T) ids.
        fresh: bool (B,), true for rows whose state starts from zero.
        state: The state after the chunk before.

    Returns:
        nats (B, T), correct (B, T), and the state after the chunk.
    """

    def reset(value: Any, zero: Any) -> Any:
        rows = ops.reshape(fresh, (-1,) + (1,) * (len(value.shape) - 1))
        return ops.where(rows, zero, value)

    zeros = network.initial_state(inputs.shape[0])
    state = keras.tree.map_structure(reset, state, zeros)
    hidden, state = network.hidden(inputs, state)
    found = network.cross_entropy(hidden, targets)
    return found.nats, found.correct > 0, state
