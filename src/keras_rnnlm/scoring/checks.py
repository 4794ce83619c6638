"""What is refused before and after scoring."""

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.errors import InputError, ProbabilityError


def check_ids(vocabulary_size: int, *arrays: NDArray[np.integer]) -> None:
    """Refuse ids outside the vocabulary, which the backends let pass.

    Raises:
        InputError: If there is one.
    """
    for ids in arrays:
        smallest, largest = int(ids.min(initial=0)), int(ids.max(initial=0))
        if smallest < 0 or largest >= vocabulary_size:
            raise InputError(
                f"Expected token ids from 0 and below {vocabulary_size}, the size of "
                "the network's vocabulary, received "
                f"{smallest if smallest < 0 else largest}. Encode the text with the "
                "tokenizer of this network."
            )


def check_nats(nats: NDArray[np.floating]) -> None:
    """Refuse what no probability gives.

    Raises:
        ProbabilityError: If a value is not a finite number.
    """
    if not np.isfinite(nats).all():
        raise ProbabilityError(
            "Expected probabilities from the network, received values that are not "
            "numbers: its weights are damaged, or training went astray. Use an "
            "earlier checkpoint, or train with a lower learning rate."
        )
