"""How large a network's gradients are on its training text, weight by weight.

RMS_g of Krause et al. (2018): the root of the mean square of a minibatch's gradient,
over minibatches of training text. Only the relation between weights is kept, that is
RMS_g divided by its mean over all weights, so the number of lanes of a minibatch, which
makes all gradients smaller alike, hardly matters.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.errors import InputError
from keras_rnnlm.models.weights import named_weights
from keras_rnnlm.scoring.checks import check_ids
from keras_rnnlm.scoring.learning import add_squares
from keras_rnnlm.scoring.scorer import Progress

LANES = 16
STEPS = 20
MOST_TOKENS = 100_000
LEAST_BATCHES = 8


@dataclass(frozen=True, eq=False)
class GradientScale:
    """RMS of gradients over its mean, by the stable names of the weights.

    Attributes:
        named: float32 arrays of the shapes of the weights; their common mean is 1.
        seconds: Wall-clock time of measuring it, or of reading its file.
    """

    named: Mapping[str, NDArray[np.float32]]
    seconds: float = 0.0

    def arrays(self, network: keras.Model) -> list[NDArray[np.float32]]:
        """Return the arrays in the order of the network's trainable weights.

        Raises:
            InputError: If they are not those of this network.
        """
        names = {id(v): name for name, v in named_weights(network).items()}
        found = []
        for variable in network.trainable_variables:
            array = self.named.get(names[id(variable)])
            if array is None or array.shape != tuple(variable.shape):
                raise InputError(
                    "Expected the scale of this network's gradients, received that of "
                    f"another: '{names[id(variable)]}' is missing or has another "
                    "shape. Run `rnnlm tune-evaluation` again."
                )
            found.append(array)
        return found


def long_enough(text: EncodedText) -> bool:
    """Whether a scale can be measured on a text: it has a minibatch at least."""
    first, last = _span(text)
    return last - first >= STEPS


def _span(text: EncodedText) -> tuple[int, int]:
    """Return where the predictions of a text begin and stop."""
    # The first file of characters may be empty, and nothing stands before position 0.
    first = max(int(text.starts[0]), 1)
    return first, max(int(text.stops[-1]), first)


def measure_scale(
    network: keras.Model,
    text: EncodedText,
    most_tokens: int = MOST_TOKENS,
    seconds: float | None = None,
    progress: Progress | None = None,
) -> GradientScale:
    """Measure the scale of gradients on training text.

    Sixteen lanes are read side by side from places that are evenly spread over the
    text, 20 tokens a minibatch, with carried state.

    Args:
        network: An `RNNLM` in float32.
        text: The text it was trained on.
        most_tokens: Most predictions to look at.
        seconds: Stop after about this time, but not before a few minibatches.
        progress: Called with the numbers of predictions done and of all.

    Raises:
        InputError: If the text is shorter than a minibatch.
    """
    begun = time.monotonic()
    first, last = _span(text)
    lanes = min(LANES, (last - first) // STEPS)
    if not long_enough(text):
        raise InputError(
            f"Expected a training text of at least {STEPS} predictions, received "
            f"{last - first}. Give the text the model was trained on."
        )
    each = (last - first) // lanes
    batches = max(1, min(each, most_tokens // lanes) // STEPS)
    begins = first + each * np.arange(lanes)
    state, sums = network.initial_state(lanes), None
    read = 0
    for i in range(batches):
        if seconds is not None and i >= LEAST_BATCHES and i % LEAST_BATCHES == 0:
            ops.convert_to_numpy((sums or [])[0])  # wait: steps are not waited for
            if time.monotonic() - begun > seconds:
                break
        places = begins[:, None] + i * STEPS + np.arange(STEPS)
        inputs = np.asarray(text.ids[places - 1], np.int32)
        targets = np.asarray(text.ids[places], np.int32)
        check_ids(network.vocabulary_size, inputs, targets)
        state, sums = add_squares(network, inputs, targets, state, sums)
        if progress is not None:
            progress((i + 1) * lanes * STEPS, batches * lanes * STEPS)
        read = i + 1
    roots = [np.sqrt(ops.convert_to_numpy(s) / read) for s in sums or []]
    total = sum(float(np.sum(root, dtype=np.float64)) for root in roots)
    mean = total / sum(root.size for root in roots)
    if not 0 < mean < np.inf:
        raise InputError(
            "Expected gradients above 0 on the training text, received a mean of "
            f"{mean}: the network's weights are damaged, or the text is not its own."
        )
    names = {id(v): name for name, v in named_weights(network).items()}
    return GradientScale(
        {
            names[id(variable)]: (root / mean).astype(np.float32)
            for variable, root in zip(network.trainable_variables, roots, strict=True)
        },
        time.monotonic() - begun,
    )
