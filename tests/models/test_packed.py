"""Packed networks against the network itself, on every instruction set."""

import errno
import mmap
from functools import cache
from typing import Any

import numpy as np
import pytest
from keras import ops

from keras_rnnlm.errors import ConfigError, InputError, RNNLMError
from keras_rnnlm.layers.kernels.packing import quantize
from keras_rnnlm.models.packed import PackedNetwork, packed_copy, unpackable
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.weights import weight_arrays
from tests.conftest import needs_compiler, only_on
from tests.layers.kernels.test_native import target as target  # a fixture
from tests.scoring.texts import compiled_step

CELLS = ("simple_rnn", "lstm", "gru")
# Vocabularies below the width of the embedding have a table in place of a matrix.
SHAPES: tuple[dict[str, Any], ...] = (
    {"vocabulary_size": 3, "units": 1},
    {"vocabulary_size": 7, "units": 3, "embedding": 5, "tie_weights": False},
    {"vocabulary_size": 12, "units": 17, "layers": 1},
    {"vocabulary_size": 131, "units": 17, "embedding": 33, "layers": 3},
    {"vocabulary_size": 70, "units": 40, "projection": 5, "tie_weights": False},
)


def network(cell: str, **options: Any) -> RNNLM:
    model = RNNLM(cell=cell, seed=1, **{"layers": 2, **options})
    random = np.random.default_rng(0)
    model.set_weights(
        [2 * w + random.normal(0, 0.1, w.shape) for w in model.get_weights()]
    )
    return model


def some_tokens(model: RNNLM, rows: int, steps: int) -> Any:
    random = np.random.default_rng(rows)
    return random.integers(0, model.vocabulary_size, (rows, steps)).astype(np.int32)


def assert_same(found: Any, expected: Any, tolerance: float) -> None:
    log_probs, state = found
    wanted, wanted_state = expected
    wanted = ops.convert_to_numpy(wanted)
    np.testing.assert_allclose(log_probs, wanted, atol=tolerance)
    for layer, wanted_layer in zip(state, wanted_state, strict=True):
        for part, wanted_part in zip(layer, wanted_layer, strict=True):
            wanted_part = ops.convert_to_numpy(wanted_part)
            np.testing.assert_allclose(part, wanted_part, atol=tolerance)


@cache
def expected_steps(cell: str, shape: int) -> tuple[RNNLM, Any, Any]:
    """A network, tokens, and what it makes of them; nine rows are more than a tile."""
    model = network(cell, **SHAPES[shape])
    tokens = some_tokens(model, 9, 4)
    return model, tokens, compiled_step(model)(tokens, model.initial_state(9))


@pytest.mark.parametrize("shape", range(len(SHAPES)))
@pytest.mark.parametrize("cell", CELLS)
def test_a_step_is_the_networks(target: str, cell: str, shape: int) -> None:
    model, tokens, (log_probs, state) = expected_steps(cell, shape)
    packed = PackedNetwork(model)
    assert packed.path == f"native {target}"
    found = packed.step(tokens, packed.initial_state(9))
    assert_same(found, (log_probs, state), 2e-5)
    found = packed.step(tokens[:1], packed.initial_state(1))
    one = tuple(tuple(part[:1] for part in layer) for layer in state)
    assert_same(found, (log_probs[:1], one), 2e-5)


def rounded(model: RNNLM, weights: str) -> RNNLM:
    """The network with its matrices as the packed weights have them."""
    copy = RNNLM.from_config(model.get_config())
    for variable, value in zip(copy.weights, model.get_weights(), strict=True):
        if value.ndim == 2 and "bias" not in variable.path:
            if weights == "int8":
                axis_of_rows = "embeddings" in variable.path
                cut = [value.T] if axis_of_rows else [value]
                values, scales = quantize(cut[0])
                value = values * scales
                value = value.T if axis_of_rows else value
            else:
                bits = np.asarray(value, np.float32).view(np.uint32) + 0x8000
                value = (bits & np.uint32(0xFFFF0000)).view(np.float32)
        variable.assign(value)
    return copy


@pytest.mark.parametrize("cell", CELLS)
def test_fewer_bits_are_the_network_with_rounded_weights(
    target: str, cell: str
) -> None:
    model = network(cell, vocabulary_size=131, units=33)
    tokens = some_tokens(model, 3, 5)
    # What is left for int8 is that activations are 8-bit numbers too.
    for weights, tolerance in (("bfloat16", 1e-3), ("int8", 0.1)):
        packed = PackedNetwork(model, weights)
        narrow = rounded(model, weights)
        expected = narrow.step(tokens, narrow.initial_state(3))
        assert_same(packed.step(tokens, packed.initial_state(3)), expected, tolerance)


def test_rows_do_not_touch_each_other() -> None:
    only_on("jax")
    needs_compiler()
    model = network("lstm", vocabulary_size=131, units=33)
    packed = PackedNetwork(model, "int8")
    tokens = some_tokens(model, 7, 5)
    together, _ = packed.step(tokens, packed.initial_state(7))
    for row in range(7):
        alone, _ = packed.step(tokens[row : row + 1], packed.initial_state(1))
        np.testing.assert_allclose(alone[0], together[row], atol=1e-6)


def test_wide_layers_on_all_cores() -> None:
    only_on("jax")
    needs_compiler()
    model = network("lstm", vocabulary_size=700, units=650, layers=1)
    model.set_weights([weight / 8 for weight in model.get_weights()])
    packed = PackedNetwork(model)
    tokens = some_tokens(model, 2, 3)
    expected = model.step(tokens, model.initial_state(2))
    found = packed.step(tokens, packed.initial_state(2))
    assert_same(found, expected, 2e-5)


def test_scores_are_the_networks_and_fresh_rows_start_from_zero() -> None:
    only_on("jax")
    needs_compiler()
    model = network("gru", vocabulary_size=31, units=20)
    packed = PackedNetwork(model)
    tokens, targets = some_tokens(model, 4, 6), some_tokens(model, 4, 6)[::-1]
    before = packed.read(tokens, packed.initial_state(4))
    fresh = np.array([True, False, True, False])
    nats, correct, state = packed.score_chunk(tokens, targets, fresh, before)
    start = tuple(
        tuple(np.where(fresh[:, None], 0, part).astype(np.float32) for part in layer)
        for layer in before
    )
    wanted, wanted_state = model.step(tokens, start)
    wanted = ops.convert_to_numpy(wanted)
    at = np.take_along_axis(wanted, targets[..., None], -1)[..., 0]
    np.testing.assert_allclose(nats, -at, atol=2e-5)
    np.testing.assert_array_equal(correct, at == wanted.max(-1))
    assert_same((nats, state), (-at, wanted_state), 2e-5)


def test_a_state_of_other_rows_is_refused() -> None:
    only_on("jax")
    needs_compiler()
    packed = PackedNetwork(network("gru", vocabulary_size=31, units=20))
    tokens = some_tokens(packed, 4, 6)
    with pytest.raises(InputError, match=r"a state of shape .*4, 20\), received"):
        packed.step(tokens, packed.initial_state(1))
    fresh = np.zeros(4, np.bool_)
    with pytest.raises(InputError, match="targets of shape"):
        packed.score_chunk(tokens, tokens[:, :3], fresh, packed.initial_state(4))


def test_kernels_without_huge_pages_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    only_on("jax")
    needs_compiler()

    class Plain(mmap.mmap):
        def madvise(self, *_: int) -> None:
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(mmap, "mmap", Plain)
    packed = PackedNetwork(network("gru", vocabulary_size=31, units=20))
    assert packed.step([[3]], packed.initial_state(1))[0].shape == (1, 1, 31)


def test_the_copy_follows_the_weights_and_is_made_once() -> None:
    only_on("jax")
    needs_compiler()
    model = network("lstm", vocabulary_size=9, units=4)
    first = packed_copy(model)
    assert first is not None and packed_copy(model) is first
    model.set_weights(model.get_weights())
    assert packed_copy(model) is not first


def test_what_cannot_be_packed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    only_on("jax")
    options: dict[str, Any] = {"units": 4, "layers": 1, "tie_weights": False}
    adaptive = RNNLM(40, output="adaptive", output_cutoffs=(10,), **options)
    assert unpackable(adaptive) == "has the output layer AdaptiveOutput"
    with pytest.raises(InputError, match="AdaptiveOutput"):
        PackedNetwork(adaptive, "int8")
    assert packed_copy(adaptive) is None
    plain = RNNLM(40, **options)
    with pytest.raises(ConfigError, match="float32, bfloat16, int8; received 'int4'"):
        PackedNetwork(plain, "int4")
    monkeypatch.setenv("RNNLM_NATIVE", "off")
    assert packed_copy(plain) is None
    with pytest.raises(RNNLMError, match="compiled CPU kernels"):
        PackedNetwork(plain, "int8")
    assert set(weight_arrays(plain)) >= {"output.kernel", "output.bias"}


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_what_is_no_number_is_passed_on(target: str, weights: str) -> None:
    """Bytes have no value for it, and the damage must not look like a zero."""
    model = network("lstm", **SHAPES[3])
    for variable in model.trainable_variables:
        if variable.path.endswith("recurrent_kernel"):
            damaged = ops.convert_to_numpy(variable).copy()
            damaged[0, 2] = np.nan
            variable.assign(damaged)
    packed = PackedNetwork(model, weights)
    state = packed.initial_state(1)
    for token in (1, 2):
        log_probs, state = packed.step(np.array([token], np.int32), state)
    assert np.isnan(log_probs).all()


def test_of_equal_tokens_the_first_is_the_likeliest(target: str) -> None:
    model = RNNLM(5, units=4, layers=1, seed=1, tie_weights=False)
    for variable in model.output_layer.weights:
        variable.assign(np.zeros(variable.shape))
    packed = PackedNetwork(model)
    every = np.arange(5, dtype=np.int32).reshape(1, 5)
    _, correct, _ = packed.score_chunk(
        every, every, np.array([True]), packed.initial_state(1)
    )
    np.testing.assert_array_equal(correct, [[True, False, False, False, False]])
