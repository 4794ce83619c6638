"""Small streams for the tests of models and training."""

import numpy as np

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.data.streams import StreamBatches
from tests.scoring.texts import encoded


def text(vocabulary: int, length: int = 200, cycle: bool = False) -> EncodedText:
    """Ids below `vocabulary`, by chance or counting up in a cycle."""
    if cycle:
        ids = np.arange(length) % (vocabulary - 1) + 1
    else:
        ids = np.random.default_rng(0).integers(1, vocabulary, length)
    return encoded([ids], line_end=1, start=False)


def stream(
    vocabulary: int, batch_size: int, steps: int, cycle: bool = False
) -> StreamBatches:
    """A stream over such a text."""
    return StreamBatches(text(vocabulary, cycle=cycle), batch_size, steps)
