"""Cross entropy and its gradient against float64 NumPy."""

from typing import Any

import numpy as np
import pytest
from keras import layers, ops

from keras_rnnlm.layers.kernels.cross_entropy import sparse_cross_entropy
from tests.layers.gradients import call_with_gradients

NO_WEIGHTS = layers.Layer()


def expected(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nats, and the gradient of their sum weighted as `call_with_gradients` does."""
    exact = logits.astype("float64")
    exact -= exact.max(-1, keepdims=True)
    probabilities = np.exp(exact) / np.exp(exact).sum(-1, keepdims=True)
    one_hot = np.eye(logits.shape[-1])[targets.astype(int)]
    nats = np.log(np.exp(exact).sum(-1)) - (exact * one_hot).sum(-1)
    weight = np.random.default_rng(0).standard_normal(nats.shape).astype("float32")
    return nats, (probabilities - one_hot) * weight[..., None]


def check(logits: np.ndarray, targets: np.ndarray) -> None:
    got = call_with_gradients(
        NO_WEIGHTS, lambda x: sparse_cross_entropy(x, targets), [logits]
    )
    nats, gradient = expected(logits, targets)
    np.testing.assert_allclose(got.outputs[0], nats, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got.inputs[0], gradient, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (6, 10), (2, 3, 7), (1000,)])
def test_equals_numpy(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    logits = 3 * rng.standard_normal(shape).astype("float32")
    check(logits, rng.integers(0, shape[-1], shape[:-1]))


def test_extreme_logits() -> None:
    logits = np.array([[1e4, -1e4, 0], [1e4, -1e4, 0], [1e4, 1e4, -1e4]], "float32")
    check(logits, np.array([0, 1, 1]))


def test_a_vocabulary_of_one_is_certain() -> None:
    nats = sparse_cross_entropy(ops.ones((4, 1)), ops.zeros((4,), "int32"))
    np.testing.assert_array_equal(ops.convert_to_numpy(nats), 0)


def test_takes_the_whole_numbers_that_keras_hands_to_a_loss() -> None:
    logits = np.eye(3, dtype="float32")
    as_floats = sparse_cross_entropy(logits, ops.convert_to_tensor([0.0, 1.0, 0.0]))
    as_integers = sparse_cross_entropy(logits, ops.convert_to_tensor([0, 1, 0]))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(as_floats), ops.convert_to_numpy(as_integers)
    )


@pytest.mark.parametrize(
    ("logits", "targets", "message"),
    [
        (ops.ones((2, 3), "bfloat16"), np.zeros(2, int), "received bfloat16"),
        (ops.ones((2, 3)), np.zeros((2, 3), int), "one axis more"),
    ],
)
def test_refuses(logits: Any, targets: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sparse_cross_entropy(logits, targets)
