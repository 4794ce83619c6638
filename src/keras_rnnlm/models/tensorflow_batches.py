"""Batches of varying length for TensorFlow.

Keras tells TensorFlow the shapes of a `PyDataset` from its first two batches, and a
third of another length then fails. Here the length is declared open.
"""

from collections.abc import Iterator
from typing import Any

import keras


def with_open_lengths(batches: Any) -> Any:
    """Return what `fit` can take on the active backend in place of `batches`.

    Anything but batches that say `lengths_vary` is returned as it is, and so are
    those on backends other than TensorFlow.
    """
    varies = getattr(batches, "lengths_vary", False)
    if keras.backend.backend() != "tensorflow" or not varies:
        return batches
    import tensorflow as tf

    def generate() -> Iterator[Any]:
        index, count = 0, batches.num_batches
        while count is None or index < count:
            yield batches[index]
            index += 1

    # (rows, time) of open time, or one number a row.
    signature = keras.tree.map_structure(
        lambda x: tf.TensorSpec((len(x), *[None] * (x.ndim - 1)), x.dtype), batches[0]
    )
    return tf.data.Dataset.from_generator(generate, output_signature=signature)
