"""The continuous caches that a search tries."""

import itertools

import keras
import numpy as np
from keras import ops

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.scoring.cache import CacheSettings
from keras_rnnlm.scoring.passes import StaticReader, first_predictions
from keras_rnnlm.scoring.protocols import Protocol, segments

WINDOWS = (100, 500, 2000)
# Of theta times the mean square of a hidden vector: what theta means depends on it.
NEARNESS = (1.0, 2.0, 4.0, 8.0, 16.0)


def cache_grid(
    network: keras.Model, text: EncodedText, total: int
) -> list[CacheSettings]:
    """Return caches to try, their thetas by the size of the hidden vectors.

    Args:
        network: An `RNNLM` in float32.
        text: With a prediction at least; some of its first are read.
        total: Most predictions that a pass of the search looks at.
    """
    reader = StaticReader(network)
    starts, stops = segments(text, Protocol("carry"))
    starts, stops = first_predictions(starts, stops, 512)
    start, stop = int(starts[0]), int(stops[0])
    steps = reader.steps(stop - start)
    count = min(steps, stop - start)
    ids = np.zeros((2, 1, steps), np.int32)
    ids[0, 0, :count] = text.ids[start - 1 : start + count - 1]
    ids[1, 0, :count] = text.ids[start : start + count]
    reader.begin()
    _, hidden = reader.read(ids[0], ids[1], count)
    vectors = ops.convert_to_numpy(hidden)[:count].astype(np.float64)
    size = max(float((vectors**2).sum(axis=1).mean()), 1e-12)
    windows = [w for w in WINDOWS if w <= max(total, WINDOWS[0])]
    return [
        CacheSettings(window, nearness / size)
        for window, nearness in itertools.product(windows, NEARNESS)
    ]
