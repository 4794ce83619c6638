"""How many rows of logits are made at a time, and the loop over such chunks."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Array = Any
Step = Callable[[Any, tuple[Array, ...]], tuple[Any, tuple[Array, ...]]]

BYTES = 128 << 20
# Fewer rows would not repay reading the matrix once more for every chunk.
LEAST_ROWS = 512
MOST_BYTES = 256 << 20


def rows_for(words: int) -> int:
    """Return the most rows of float32 logits over `words` words to make at a time.

    128 MiB of them; up to 256 MiB where that makes fewer than 512 rows.
    """
    row = 4 * max(words, 1)
    return max(BYTES // row, min(LEAST_ROWS, MOST_BYTES // row), 1)


def split(total: int, most: int) -> tuple[int, int]:
    """Return number and size of equal chunks of at most `most` rows.

    Together they hold `total` rows or a few more. Somewhat smaller chunks are taken
    where those divide the rows evenly, so that nothing is padded.
    """
    count = max(-(-total // most), 1)
    for number in range(count, 2 * count):
        if total % number == 0:
            return number, total // number
    return count, -(-total // count)


def scan(
    step: Step, sums: tuple[Array, ...], arrays: tuple[Array, ...], most: int
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Run `step` over chunks of the rows of some arrays.

    Args:
        step: Takes the sums so far, None at first where there is one chunk, and the
            chunks of `arrays`; returns the new sums and results, whose first axis
            is that of the chunk's rows. Rows added to fill a chunk are zero.
        sums: What the sums start from.
        arrays: Their first axes are equally long.
        most: Most rows of a chunk.

    Returns:
        The sums, and the results of all rows, joined.
    """
    if keras.backend.backend() == "tensorflow" and arrays[0].shape[0] is None:
        return _tensorflow_scan(step, sums, arrays, most)
    total = arrays[0].shape[0]
    count, rows = split(total, most)
    if count == 1:
        return step(None, arrays)
    if keras.backend.backend() == "jax":
        import jax

        stacks = tuple(_stacked(x, total, count, rows) for x in arrays)
        sums, results = jax.lax.scan(step, sums, stacks)
        return sums, tuple(_joined(x, total) for x in results)
    pieces = []
    for i in range(count):
        begin, end = total * i // count, total * (i + 1) // count
        sums, piece = step(sums, tuple(x[begin:end] for x in arrays))
        pieces.append(piece)
    return sums, tuple(ops.concatenate(x, axis=0) for x in zip(*pieces, strict=True))


def _stacked(x: Array, total: Any, count: Any, rows: Any) -> Array:
    """(total, ...) as (count, rows, ...), with zeros after the last row."""
    padding = [(0, count * rows - total)] + [(0, 0)] * (len(x.shape) - 1)
    return ops.reshape(ops.pad(x, padding), (count, rows, *x.shape[1:]))


def _joined(x: Array, total: Any) -> Array:
    """(count, rows, ...) as (total, ...)."""
    return ops.reshape(x, (-1, *x.shape[2:]))[:total]


def _tensorflow_scan(
    step: Step, sums: tuple[Array, ...], arrays: tuple[Array, ...], most: int
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """The loop over as many rows as there turn out to be when the graph runs."""
    import tensorflow as tf

    total = tf.shape(arrays[0])[0]
    count = tf.maximum((total + most - 1) // most, 1)
    rows = (total + count - 1) // count

    def stacked(x: Array) -> Array:
        padding = [[0, count * rows - total]] + [[0, 0]] * (len(x.shape) - 1)
        return tf.reshape(tf.pad(x, padding), [count, rows, *x.shape[1:]])

    stacks = tuple(map(stacked, arrays))
    # What the results look like is known from a step that never runs.
    function = tf.function(step)
    shapes = function.get_concrete_function(
        tuple(tf.TensorSpec(s.shape, s.dtype) for s in sums),
        tuple(tf.TensorSpec(s.shape[1:], s.dtype) for s in stacks),
    ).structured_outputs[1]
    results = tuple(
        tf.TensorArray(spec.dtype, size=count, element_shape=spec.shape)
        for spec in shapes
    )

    def body(i: Array, sums: Any, results: Any) -> Any:
        sums, pieces = step(sums, tuple(s[i] for s in stacks))
        written = tuple(
            r.write(i, piece) for r, piece in zip(results, pieces, strict=True)
        )
        return i + 1, sums, written

    _, sums, results = tf.while_loop(
        lambda i, *_: i < count, body, (tf.constant(0), tuple(sums), results)
    )
    return sums, tuple(_joined(r.stack(), total) for r in results)
