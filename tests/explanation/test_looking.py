"""What attention gives to places, against the shares as the layers tell them."""

from typing import Any

import numpy as np
import pytest
from keras import ops

from keras_rnnlm.explanation.looking import _attend
from keras_rnnlm.layers.observed import listening
from tests.explanation.models import characters


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"cell": "min_gru", "attention": 6}, (1, 4, 4)),
        ({"network": "transformer", "heads": 2, "context": 7}, (1, 2, 4, 4)),
    ],
)
def test_the_empty_memory_is_left_out(
    arguments: dict[str, Any], shape: tuple[int, ...]
) -> None:
    network = characters(layers=1, **arguments).network
    ids = np.array([[3, 1, 4, 1]])
    with listening("attention") as told:
        network.hidden_of(network.embedding(ids), network.initial_state(1))
    whole = ops.convert_to_numpy(told[0].value)
    assert whole.shape == (*shape[:-1], 6 + 4)
    assert not whole[..., :6].any()
    (found,) = _attend(network, ids)
    np.testing.assert_array_equal(ops.convert_to_numpy(found), whole[..., 6:])
