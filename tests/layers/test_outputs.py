"""The output layer against NumPy: tied, free, in float32 whatever the policy."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from keras_rnnlm import layers
from tests.layers.check import check_layer
from tests.layers.gradients import call_with_gradients

RNG = np.random.default_rng(0)
HIDDEN = RNG.standard_normal((2, 3, 64)).astype("float32")
MATRIX = RNG.standard_normal((10, 64)).astype("float32")


def array(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor))


def rounded(a: np.ndarray) -> np.ndarray:
    """To bfloat16 and back."""
    return array(ops.cast(ops.cast(a, "bfloat16"), "float32")).astype("float64")


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("use_bias", [False, True])
def test_layer(tied: bool, use_bias: bool) -> None:
    constant = keras.initializers.Constant(0.1)
    layer = layers.Output(10, tied, use_bias, constant, "ones")
    inputs = (HIDDEN, MATRIX / 64) if tied else (HIDDEN / 64,)
    check_layer(
        layer,
        *inputs,
        output_shape=(2, 3, 10),
        output_dtype="float32",
        weights=use_bias + (not tied),
    )


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("tied", [False, True])
def test_equals_numpy(policy: str, tied: bool) -> None:
    layer = layers.Output(10, tied, True, "zeros", "ones", dtype=policy)
    arguments = [MATRIX] if tied else []
    layer(HIDDEN, *arguments)
    if not tied:
        layer.kernel.assign(MATRIX.T)
    got = call_with_gradients(layer, lambda *a: layer(*a), [HIDDEN, *arguments])
    exact = rounded if policy == "mixed_bfloat16" else np.asarray
    expected = exact(HIDDEN) @ exact(MATRIX).T + array(layer.bias)
    # Far finer than the 2^-8 of bfloat16: the sums have not been rounded to 16 bits.
    np.testing.assert_allclose(got.outputs[0], expected, atol=2e-5)
    weight = np.random.default_rng(0).standard_normal((2, 3, 10)).astype("float32")
    by_matrix = np.einsum("btv,btd->vd", weight, HIDDEN)
    slack = 2e-5 if policy == "float32" else 0.1
    np.testing.assert_allclose(got.inputs[0], weight @ MATRIX, atol=slack)
    found = got.inputs[1] if tied else got.weights[0].T
    np.testing.assert_allclose(found, by_matrix, atol=slack)
    np.testing.assert_allclose(got.weights[-1], weight.sum((0, 1)), atol=1e-5)


def test_is_tied_to_a_variable_of_another_layer_in_a_model() -> None:
    tokens = keras.Input((3,), dtype="int32")
    embedding = layers.Embedding(10, 4)
    output = layers.Output(10, tied=True)
    embedded = embedding(tokens)
    model = keras.Model(tokens, output(embedded, embedding.embeddings))
    assert len(output.trainable_variables) == 1
    words = np.array([[1, 2, 9]])
    logits = array(output(embedding(words), embedding.embeddings))
    matrix = array(embedding.embeddings)
    np.testing.assert_allclose(logits[0], matrix[words[0]] @ matrix.T, atol=1e-6)
    assert model.output_shape == (None, 3, 10)


def test_says_what_is_missing_superfluous_or_of_another_shape() -> None:
    with pytest.raises(ValueError, match="embeddings of shape .10, 64."):
        layers.Output(10, tied=True)(HIDDEN)
    with pytest.raises(ValueError, match="received .64, 10."):
        layers.Output(10, tied=True)(HIDDEN, MATRIX.T)
    with pytest.raises(ValueError, match="it is not tied"):
        layers.Output(10)(HIDDEN, MATRIX)
