"""What a network knows of each prediction before the token is seen: a gate's features.

Every file is read as one stream, as `passes` reads it. See `gate`.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.models.compiled import compiled_once
from keras_rnnlm.scoring.checks import check_ids
from keras_rnnlm.scoring.experts import Floats
from keras_rnnlm.scoring.layout import LOGITS_BYTES, STEPS
from keras_rnnlm.scoring.protocols import Protocol, segments

SEED = 1  # of the projection, which has to be the same for validation and test


def network_features(
    network: keras.Model, text: EncodedText, projections: int = 0
) -> Floats:
    """Return features of the network's predictions, in the order of a text.

    Args:
        network: An `RNNLM` in float32.
        text: The text; every file is read as one stream, from a zero state.
        projections: How many directions of the hidden vector to look along. They are
            drawn once for all texts, and of length 1 on average.

    Returns:
        float64 (predictions, 2 + projections), in the order of
        `segments(text, Protocol("carry"))`: the entropy of the predicted distribution
        in nats, the natural logarithm of its largest probability, and the projections.

    Raises:
        InputError: If an id is not in the vocabulary.
    """
    starts, stops = segments(text, Protocol("carry"))
    most = LOGITS_BYTES // (4 * network.vocabulary_size)
    sizes = [size for size in STEPS if size <= most] or [STEPS[0]]
    chunk = compiled_once(network, _chunk(projections))
    parts = []
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        state = network.initial_state(1)
        while start < stop:
            steps = next((s for s in sizes if s >= stop - start), sizes[-1])
            counted = min(steps, stop - start)
            ids = np.asarray(text.ids[start - 1 : start - 1 + counted], np.int32)
            check_ids(network.vocabulary_size, ids)
            inputs = np.zeros((1, steps), np.int32)
            inputs[0, :counted] = ids
            known, state = chunk(inputs, state)
            parts.append((known, counted))
            start += counted
    found = [ops.convert_to_numpy(known)[:counted] for known, counted in parts]
    return np.concatenate([np.empty((0, 2 + projections)), *found], dtype=np.float64)


def _directions(width: int, projections: int) -> NDArray[np.float32]:
    drawn = np.random.default_rng(SEED).normal(size=(width, projections))
    return np.asarray(drawn / np.sqrt(width), np.float32)


@cache
def _chunk(projections: int) -> Callable[..., tuple[Any, Any]]:
    def run(network: keras.Model, inputs: Any, state: Any) -> tuple[Any, Any]:
        """Run the network; this runs inside the compiled function."""
        hidden, state = network.hidden(inputs, state)
        log_p = ops.log_softmax(network.logits(hidden), axis=-1)
        entropy = -ops.sum(ops.exp(log_p) * log_p, axis=-1)
        sure = ops.stack([entropy, ops.max(log_p, axis=-1)], axis=-1)
        # Here, not by NumPy, whose threads would be in the way of the next chunk's.
        directions = _directions(hidden.shape[-1], projections)
        along = ops.matmul(ops.cast(hidden, "float32"), directions)
        return ops.concatenate([sure, along], axis=-1)[0], state

    return run
