from typing import Any

import keras
import numpy as np
import pytest

from keras_rnnlm.errors import InputError
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.vocabulary_growth import grow, shares_of_unknown
from keras_rnnlm.models.weights import assign_weights, weight_arrays

V, UNK = 11, 1


def log_probabilities(network: RNNLM, ids: list[int]) -> np.ndarray:
    found, _ = network.step(np.array([ids]), network.initial_state(1))
    return keras.ops.convert_to_numpy(found)[0].astype(np.float64)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tie_weights": False},
        {"embedding": 5, "output": "sampled", "output_samples": 4},
        {"output": "mixture", "mixtures": 2},
    ],
    ids=["tied", "free", "sampled", "mixture"],
)
def test_unknown_divides_and_all_else_stays(options: dict[str, Any]) -> None:
    small = RNNLM(V, units=6, layers=1, seed=2, **options)
    generator = np.random.default_rng(0)
    arrays = {
        name: (3 * generator.normal(size=a.shape)).astype("float32")
        if name != "output.order"
        else a
        for name, a in weight_arrays(small).items()
    }
    assign_weights(small, arrays)
    shares = shares_of_unknown(np.array([6, 3]), left=4, types_left=5)
    np.testing.assert_allclose(shares, [6 / 18, 3 / 18])
    large = RNNLM(V + 2, units=6, layers=1, seed=2, **options)
    assign_weights(large, grow(arrays, UNK, shares))
    ids = [3, UNK, 7, 0, 4]
    expected = log_probabilities(small, ids)
    found = log_probabilities(large, ids)
    known = [i for i in range(V) if i != UNK]
    np.testing.assert_allclose(found[:, known], expected[:, known], atol=2e-5)
    for word, share in ((UNK, 0.5), (V, 1 / 3), (V + 1, 1 / 6)):
        np.testing.assert_allclose(
            found[:, word], expected[:, UNK] + np.log(share), atol=2e-5
        )
    # Read as an input, a new word is what <unk> was.
    np.testing.assert_allclose(
        log_probabilities(large, [3, V + 1, 7, 0, 4]), found, atol=2e-5
    )


def test_a_network_that_never_saw_unknown_words_takes_the_rarest() -> None:
    small = RNNLM(V, units=6, layers=1, tie_weights=False, seed=2)
    arrays = weight_arrays(small)
    rarest = np.array([9, 10])
    shares = shares_of_unknown(np.array([2, 2]), 0, 2)
    grown = grow(arrays, UNK, shares, rarest)
    vectors = arrays["embedding.weight"]
    np.testing.assert_allclose(
        grown["embedding.weight"][V:], np.tile(vectors[rarest].mean(axis=0), (2, 1))
    )
    np.testing.assert_array_equal(grown["embedding.weight"][:V], vectors)
    columns = arrays["output.kernel"][:, rarest].mean(axis=1)
    np.testing.assert_allclose(grown["output.kernel"][:, V], columns)
    np.testing.assert_allclose(
        grown["output.bias"][V:], arrays["output.bias"][rarest].mean()
    )
    np.testing.assert_array_equal(grown["output.bias"][:V], arrays["output.bias"])


def test_clusters_by_frequency_take_no_new_words() -> None:
    network = RNNLM(
        V, units=6, layers=1, tie_weights=False, output="adaptive", output_cutoffs=(5,)
    )
    with pytest.raises(InputError, match="adaptive softmax"):
        grow(weight_arrays(network), UNK, np.array([0.5]))
