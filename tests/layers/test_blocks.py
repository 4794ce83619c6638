"""Blocks of the Transformer and of the convolutional network, against NumPy loops."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers.gated_convolution import GatedConvolution, convolution_weights
from keras_rnnlm.layers.transformer_block import TransformerBlock, transformer_weights
from keras_rnnlm.models.compiled import compiled

Floats = NDArray[np.float64]
NUMPY = ops.convert_to_numpy
RNG = np.random.default_rng(5)


def made(layer: Any, width: int, deviation: float = 0.4) -> Any:
    """Build a block and draw its weights."""
    layer.build((None, None, width))
    rng = np.random.default_rng(7)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(0.5, deviation, variable.shape))
    return layer


@cache
def compiled_call(block: Any) -> Callable[..., Any]:
    """A call of the block, compiled: the same function in less time."""
    return compiled(block, lambda x, *memory: block(x, *memory))


def weights_of(layer: Any) -> dict[str, Floats]:
    return {
        v.name: NUMPY(v.value).astype(np.float64) for v in layer.trainable_variables
    }


def normalised(x: Floats, scale: Floats) -> Floats:
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * scale


def gelu(x: float) -> float:
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def turned(x: Floats, position: int) -> Floats:
    """Pairs (i, i + half) as complex numbers, turned by their own angles."""
    half = len(x) // 2
    angles = position * 10000.0 ** (-np.arange(half) / half)
    z = (x[:half] + 1j * x[half:]) * np.exp(1j * angles)
    return np.concatenate([z.real, z.imag])


def transformer_reference(
    x: Floats, w: dict[str, Floats], heads: int, context: int
) -> Floats:
    """One row (T, D) from its beginning, step by step and head by head."""
    steps, width = x.shape
    size = width // heads
    normal = [normalised(row, w["attention_scale"]) for row in x]
    q, k, v = np.split(np.array(normal) @ w["attention_kernel"], 3, axis=1)
    y = np.empty_like(x)
    for t in range(steps):
        mixed = np.zeros(width)
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            seen = range(max(0, t - context + 1), t + 1)
            scores = np.array(
                # Far from 0: only distances may count.
                [
                    turned(q[t, part], 900 + t) @ turned(k[j, part], 900 + j)
                    for j in seen
                ]
            )
            shares = np.exp(scores / math.sqrt(size))
            shares /= shares.sum()
            mixed[part] = sum(s * v[j, part] for s, j in zip(shares, seen, strict=True))
        a = x[t] + mixed @ w["mixing_kernel"]
        inner = normalised(a, w["perceptron_scale"]) @ w["widening_kernel"]
        y[t] = a + np.array([gelu(value) for value in inner]) @ w["narrowing_kernel"]
    return y


def convolution_reference(x: Floats, w: dict[str, Floats], k: int) -> Floats:
    """One row (T, D) from its beginning, step by step and column by column."""
    steps, width = x.shape
    padded = np.concatenate([np.zeros((k - 1, width)), x])
    y = np.empty_like(x)
    for t in range(steps):
        window = padded[t : t + k].reshape(-1)
        sums = np.empty(2 * width)
        for c in range(2 * width):
            v = w["kernel"][:, c]
            sums[c] = window @ (w["norm"][c] * v / np.linalg.norm(v)) + w["bias"][c]
        y[t] = x[t] + sums[:width] / (1 + np.exp(-sums[width:]))
    return y


@pytest.mark.parametrize(("heads", "context"), [(1, 2), (2, 4), (4, 30)])
def test_a_transformer_block_is_the_equations(heads: int, context: int) -> None:
    block = made(TransformerBlock(heads, context), 8, 0.2)
    x = RNG.standard_normal((2, 9, 8))
    y, _ = compiled_call(block)(x.astype("float32"), *block.initial_memory(2))
    for row in range(2):
        expected = transformer_reference(x[row], weights_of(block), heads, context)
        np.testing.assert_allclose(NUMPY(y)[row], expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("width", [2, 3, 12])
def test_a_gated_convolution_is_the_equations(width: int) -> None:
    layer = made(GatedConvolution(width), 5)
    x = RNG.standard_normal((2, 9, 5))
    y, _ = compiled_call(layer)(x.astype("float32"), *layer.initial_memory(2))
    for row in range(2):
        expected = convolution_reference(x[row], weights_of(layer), width)
        np.testing.assert_allclose(NUMPY(y)[row], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "block", [TransformerBlock(2, 4), TransformerBlock(1, 20), GatedConvolution(4)]
)
def test_a_sequence_in_pieces_is_the_sequence(block: Any) -> None:
    if not block.built:
        made(block, 8)
    x = RNG.standard_normal((2, 11, 8)).astype("float32")
    call = compiled_call(block)
    whole, last = call(x, *block.initial_memory(2))
    memory, found, begin = block.initial_memory(2), [], 0
    for size in (1, 1, 3, 5, 1):
        y, memory = call(x[:, begin : begin + size], *memory)
        found.append(NUMPY(y))
        begin += size
    np.testing.assert_allclose(np.concatenate(found, axis=1), NUMPY(whole), atol=1e-4)
    for one, other in zip(memory, last, strict=True):
        np.testing.assert_allclose(NUMPY(one), NUMPY(other), atol=1e-4)


@pytest.mark.parametrize("block", [TransformerBlock(2, 5), GatedConvolution(3)])
def test_a_row_of_zeros_begins(block: Any) -> None:
    if not block.built:
        made(block, 8)
    x = RNG.standard_normal((2, 4, 8)).astype("float32")
    call = compiled_call(block)
    _, memory = call(x, *block.initial_memory(2))
    memory = [NUMPY(part).copy() for part in memory]
    for part in memory:
        part[1] = 0.0
    after, _ = call(x, *memory)
    fresh, _ = call(x, *block.initial_memory(2))
    np.testing.assert_allclose(NUMPY(after)[1], NUMPY(fresh)[1], atol=1e-5)
    assert np.abs(NUMPY(after)[0] - NUMPY(fresh)[0]).max() > 1e-3


def test_dropout_is_of_training_alone() -> None:
    for block in (TransformerBlock(2, 5, 0.5, seed=1), GatedConvolution(3, 0.5, 1)):
        made(block, 8)
        x = RNG.standard_normal((2, 4, 8)).astype("float32")
        start = block.initial_memory(2)
        call = compiled_call(block)
        plain, dropped = call(x, *start)[0], block(x, *start, training=True)[0]
        np.testing.assert_array_equal(NUMPY(call(x, *start)[0]), NUMPY(plain))
        assert np.abs(NUMPY(plain) - NUMPY(dropped)).max() > 1e-3


@pytest.mark.parametrize("block", [TransformerBlock(2, 300), GatedConvolution(3)])
def test_sixteen_bits_are_close_and_count_to_the_end(block: Any) -> None:
    narrow = type(block).from_config({**block.get_config(), "dtype": "mixed_bfloat16"})
    made(block, 8, 0.1)
    made(narrow, 8, 0.1)
    x = RNG.standard_normal((1, 283, 8)).astype("float32")
    expected, kept = compiled_call(block)(x, *block.initial_memory(1))
    found, memory = compiled_call(narrow)(x, *narrow.initial_memory(1))
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    difference = NUMPY(ops.cast(found, "float32")) - NUMPY(expected)
    assert np.abs(difference).mean() < 0.05
    # 283 is no number of eight bits.
    if isinstance(block, TransformerBlock):
        _, memory = compiled_call(narrow)(x[:, :4], *memory)
        assert float(NUMPY(memory[2])[0, 0]) == 287
    assert all(keras.backend.standardize_dtype(m.dtype) == "float32" for m in memory)
    assert [m.shape for m in memory] == [m.shape for m in kept]


def test_numbers_of_weights() -> None:
    block, layer = made(TransformerBlock(2, 3), 8), made(GatedConvolution(3), 8)
    assert block.count_params() == transformer_weights(8)
    assert layer.count_params() == convolution_weights(8, 3)


def test_what_cannot_be() -> None:
    with pytest.raises(ConfigError, match="take units=12, or another"):
        TransformerBlock(3, 4).build((None, None, 10))
    with pytest.raises(ConfigError, match="context of 2 to 16384 steps, received 1"):
        TransformerBlock(1, 1)
    with pytest.raises(ConfigError, match="1 head or more, received 0"):
        TransformerBlock(0, 4)
    with pytest.raises(ConfigError, match="kernel_width of 2 to 1024"):
        GatedConvolution(1)
