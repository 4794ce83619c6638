"""Packed weights, and the integer products that are the same on every processor."""

import numpy as np
import pytest

from keras_rnnlm.errors import InputError
from keras_rnnlm.layers.kernels import decode, packing
from tests.layers.kernels.test_native import target as target  # a fixture


@pytest.mark.parametrize("depth", [4, 12, 652, 1500])
def test_integer_sums_are_exact(target: str, depth: int) -> None:
    random = np.random.default_rng(depth)
    # The extremes, whose sums of two don't fit into 16 bits, and chance.
    for low, high in ((255, 256), (0, 256), (0, 1)):
        bytes_ = random.integers(low, high, (3, depth), np.uint8)
        weights = random.integers(-127, 128, (depth, 64)).astype(np.int8)
        weights[:, :3] = [127, -127, 0]
        panel = packing.panels(weights, 4, "int8")[0]
        expected = bytes_.astype(np.int64) @ weights.astype(np.int64)
        np.testing.assert_array_equal(decode.int8_sums(bytes_, panel), expected)


def test_panels_stand_column_block_after_column_block() -> None:
    matrix = np.arange(8 * 96).reshape(8, 96)
    for weights, group in (("float32", 1), ("bfloat16", 2), ("int8", 4)):
        found = packing.panels(matrix, 3, weights)
        assert found.shape == (2, 8 * 48)
        for row, column in ((0, 0), (3, 5), (7, 47), (6, 50)):
            panel, inside = divmod(column, 48)
            place = (row // group * 48 + inside) * group + row % group
            assert found[panel, place] == matrix[row, column]


def test_int8_weights_are_within_half_a_step() -> None:
    matrix = np.random.default_rng(0).normal(0, 3, (50, 20)).astype(np.float32)
    matrix[:, 4] = 0
    values, scales = packing.quantize(matrix)
    error = np.abs(values * scales - matrix)
    assert (error <= scales / 2 * 1.0001).all()
    assert values[:, 4].tolist() == [0] * 50
    assert np.abs(values).max(axis=0)[:4].tolist() == [127] * 4


def test_bfloat16_rounds_to_the_nearest_even() -> None:
    values = np.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, -3.14159, 0.0], np.float32)
    found = (packing.to_bfloat16(values).astype(np.uint32) << 16).view(np.float32)
    expected = [1.0, 1.0, 1 + 2**-6, -3.140625, 0.0]
    assert found.tolist() == expected


def test_ids_outside_the_vocabulary_are_refused(target: str) -> None:
    layer = packing.Layer(*(np.zeros(s, np.float32) for s in ((2, 8), (2, 8), (1, 8))))
    embedding, bias = np.zeros((5, 2), np.float32), np.zeros(5, np.float32)
    packed = packing.pack(
        embedding, [layer], None, embedding.T, bias, "lstm", "float32"
    )
    for token in (-1, 5):
        with pytest.raises(InputError, match="from 0 to 4"):
            decode.read(packed, np.array([[token]]), decode.zero_state(packed, 1))
