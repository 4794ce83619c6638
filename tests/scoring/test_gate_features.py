import keras
import numpy as np
import pytest

from keras_rnnlm.errors import InputError
from keras_rnnlm.scoring.gate_features import network_features
from keras_rnnlm.scoring.layout import STEPS
from tests.scoring.texts import compiled_step, encoded, shared_network


def test_features_are_those_of_the_distribution_before_each_token() -> None:
    network = shared_network()
    rng = np.random.default_rng(0)
    # More than one call, and padding in the last one.
    text = encoded([rng.integers(0, 23, n) for n in (STEPS[-1] + 11, 5)], line_end=0)
    found = network_features(network, text, projections=3)
    assert found.shape == (len(text.ids) - 1, 5)
    step = compiled_step(network)
    row = 0
    for start, stop in zip(text.starts.tolist(), text.stops.tolist(), strict=True):
        state = network.initial_state(1)
        for place in range(start, stop):
            token = np.asarray(text.ids[place - 1 : place], np.int32)
            log_p, state = step(token, state)
            p = keras.ops.convert_to_numpy(log_p)[0].astype(np.float64)
            wanted = [-(np.exp(p) * p).sum(), p.max()]
            np.testing.assert_allclose(found[row, :2], wanted, atol=2e-4)
            row += 1
    # The same directions for every text: the two files begin alike if they do.
    same = encoded([text.ids[1:9]], line_end=0)
    again = network_features(network, same, projections=3)
    np.testing.assert_allclose(again, found[:8], atol=1e-5)


def test_foreign_ids_are_refused() -> None:
    with pytest.raises(InputError, match="below 23"):
        network_features(shared_network(), encoded([[1, 99, 2]], line_end=0))
