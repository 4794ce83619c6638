"""The negative log-likelihood of every token of many segments, side by side.

Segments are laid into the rows of a batch (`layout`). Each call of the network takes
the next few tokens of every row and the state the row had before, a zero state where a
segment begins. So nothing is padded but the last call of each segment, and that padding
comes after all that counts.

Only (rows, steps) arrays come back from a call: the logits stay inside, and the number
of steps is chosen so that they stay below `layout.LOGITS_BYTES`.
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
from keras_rnnlm.scoring.layout import BATCH_SIZE, Layout

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
    layout = Layout(
        starts, lengths, offsets, network.vocabulary_size, batch_size or BATCH_SIZE
    )
    batch = _Batch(network, layout)
    done = 0
    while batch.fill():
        places, chunk_nats, chunk_correct = batch.advance(ids)
        nats[places], correct[places] = chunk_nats, chunk_correct
        done += len(places)
        if progress is not None:
            progress(done, total)
    check_nats(nats)
    return SegmentScores(nats, correct, offsets)


class _Batch:
    """The network on the rows of a layout, and the state of each row."""

    def __init__(self, network: keras.Model, layout: Layout) -> None:
        """Begin with zero states."""
        self._vocabulary_size = network.vocabulary_size
        self._layout = layout
        if isinstance(network, PackedNetwork):
            self._chunk: Callable[..., Any] = network.score_chunk
        else:
            self._chunk = compiled_once(network, _score_chunk)
        self._state = keras.tree.map_structure(
            ops.convert_to_numpy, network.initial_state(layout.rows)
        )

    def fill(self) -> bool:
        """Give waiting segments to rows that have ended; false when all is done."""
        if not self._layout.fill():
            return False
        kept = self._layout.narrow()
        if kept is not None:
            self._state = keras.tree.map_structure(
                lambda value: ops.convert_to_numpy(value)[kept], self._state
            )
        return True

    def advance(
        self, ids: NDArray[np.integer]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]:
        """Score the next targets of every row; return (places, nats, correct)."""
        layout = self._layout
        steps = layout.steps()
        step = np.arange(steps)
        counted = step < layout.left[:, None]  # (rows, steps)
        at = np.where(counted, layout.position[:, None] + step, 1)
        inputs = np.where(counted, ids[at - 1], 0).astype(np.int32)
        targets = np.where(counted, ids[at], 0).astype(np.int32)
        check_ids(self._vocabulary_size, inputs, targets)
        nats, correct, self._state = self._chunk(
            inputs, targets, layout.fresh.copy(), self._state
        )
        places = (layout.place[:, None] + step)[counted]
        layout.take(steps)
        return (
            places,
            ops.convert_to_numpy(nats)[counted],
            ops.convert_to_numpy(correct)[counted],
        )


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
