"""Attention to the past: against a loop in float64, and however a text is cut."""

from typing import Any

import numpy as np
import pytest
from keras import ops

from keras_rnnlm import layers
from keras_rnnlm.errors import ConfigError
from tests.layers.check import check_layer
from tests.layers.gradients import call_with_gradients

HIDDEN = np.random.default_rng(0).standard_normal((3, 9, 6)).astype("float32")


def array(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor))


def made(memory: int, **options: Any) -> layers.CausalAttention:
    layer = layers.CausalAttention(memory, **options)
    layer.build((None, None, 6))
    rng = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(0, 0.7, variable.shape))
    return layer


def reference(layer: layers.CausalAttention, hidden: np.ndarray) -> np.ndarray:
    """One row, step by step, each with a window of the vectors before it."""
    w = {v.name: array(v.value).astype("float64") for v in layer.weights}
    normal, outputs = [], []
    for h in hidden.astype("float64"):
        n = (h - h.mean()) / np.sqrt(h.var() + 1e-5) * w["norm_scale"] + w["norm_bias"]
        normal.append(n)
        query = n @ w["query_kernel"]
        window = normal[-layer.memory - 1 :]
        scores = [query @ (w["key_scale"] * m) / np.sqrt(len(h)) for m in window]
        shares = np.exp(scores) / np.exp(scores).sum()
        mixed = sum(s * w["value_scale"] * m for s, m in zip(shares, window))  # noqa: B905
        outputs.append(h + mixed)
    return np.array(outputs)


def test_layer() -> None:
    layer = layers.CausalAttention(4)
    check_layer(
        layer,
        HIDDEN,
        output_shape=HIDDEN.shape,
        output_dtype="bfloat16",
        weights=5,
        masks=False,
    )


@pytest.mark.parametrize("memory", [1, 4, 20])
def test_each_step_attends_to_the_steps_before_it(memory: int) -> None:
    layer = made(memory)
    found = array(layer(HIDDEN)[0])
    for row in range(3):
        np.testing.assert_allclose(found[row], reference(layer, HIDDEN[row]), atol=1e-5)


@pytest.mark.parametrize(
    ("memory", "cuts"),
    [(2, (3, 6)), (2, (7,)), (5, (1, 2, 3, 4, 5, 6, 7, 8)), (20, (3, 6))],
)
def test_pieces_are_the_whole(memory: int, cuts: tuple[int, ...]) -> None:
    layer = made(memory)
    whole, last = layer(HIDDEN)
    state, pieces = layer.initial_memory(3), []
    for begin, end in zip((0, *cuts), (*cuts, 9), strict=True):
        piece, state = layer(HIDDEN[:, begin:end], state)
        pieces.append(array(piece))
    np.testing.assert_allclose(np.concatenate(pieces, 1), array(whole), atol=1e-5)
    np.testing.assert_array_equal(array(state[1]), array(last[1]))
    np.testing.assert_allclose(array(state[0]), array(last[0]), atol=1e-5)


def test_a_row_whose_memory_is_zeroed_begins_anew() -> None:
    layer = made(4)
    _, (past, count) = layer(HIDDEN)
    keep = ops.convert_to_tensor(np.array([[1.0], [0.0], [1.0]], "float32"))
    memory = past * keep[:, None], count * keep
    found = array(layer(HIDDEN, memory)[0])
    fresh, went_on = array(layer(HIDDEN)[0]), array(layer(HIDDEN, (past, count))[0])
    np.testing.assert_allclose(found[1], fresh[1], atol=1e-6)
    np.testing.assert_allclose(found[[0, 2]], went_on[[0, 2]], atol=1e-6)
    assert np.abs(fresh[0] - went_on[0]).max() > 1e-3


def test_nothing_flows_back_from_later_steps() -> None:
    layer = made(4)

    def first_steps(hidden: Any) -> Any:
        return layer(hidden)[0][:, :3]

    got = call_with_gradients(layer, first_steps, [HIDDEN])
    assert np.abs(got.inputs[0][:, :3]).min() > 0
    np.testing.assert_array_equal(got.inputs[0][:, 3:], 0)


def test_a_long_memory_is_counted_exactly_in_16_bits() -> None:
    layer = layers.CausalAttention(300, dtype="mixed_bfloat16")
    layer.build((None, None, 4))
    past, count = layer.initial_memory(1)
    vectors = np.full((1, 1, 4), 0.5, "float32")
    _, (_, count) = layer(vectors, (past, count + 257.0))
    assert float(array(count)[0, 0]) == 258.0  # bfloat16 has no 257


def test_what_cannot_be() -> None:
    with pytest.raises(ConfigError, match="received 0"):
        layers.CausalAttention(0)
