"""The drop-in layers against `keras.layers` and against float64 NumPy."""

import itertools
import shutil
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from keras_rnnlm import layers
from keras_rnnlm.errors import ConfigError
from tests.conftest import only_on
from tests.layers import reference
from tests.layers.check import check_layer
from tests.layers.gradients import call_with_gradients

NAMES = ("SimpleRNN", "LSTM", "GRU")


def expected_loop(name: str, options: dict[str, Any], masked: bool = False) -> str:
    """Which loop a layer should take, by what the documentation says."""
    backend = keras.backend.backend()
    if options.get("unroll"):
        return "ops-loop"
    if backend == "tensorflow":
        return "tensorflow-loop"
    usual = options.get("activation", "tanh") == "tanh" and (
        options.get("recurrent_activation", "sigmoid") == "sigmoid"
    )
    native = name == "LSTM" or (name == "GRU" and options.get("reset_after", True))
    if backend == "torch":
        return "torch-fused" if native and usual and not masked else "ops-loop"
    served = native and usual and options.get("dtype", "float32") != "float64"
    return "native" if served and native_kernels() else "jax-scan"


def native_kernels() -> bool:
    """Whether this machine can have the C++ kernels."""
    return any(shutil.which(name) for name in ("g++", "clang++", "c++"))


# Every value of every argument occurs for every layer; what goes together is mixed.
SHAPES = [(1, 1, 1), (4, 2, 3), (4, 9, 17), (1, 9, 3)]
VARIANTS: list[dict[str, Any]] = [
    {"return_sequences": True, "return_state": True},
    {"return_sequences": True, "return_state": True, "masked": True, "state": True},
    {"go_backwards": True, "masked": True, "use_bias": False, "return_sequences": True},
    {"state": True, "return_state": True, "activation": "relu", "dropout": 0.0},
    {"unroll": True, "masked": True, "state": True, "return_sequences": True},
    {
        "zero_output_for_mask": True,
        "masked": True,
        "return_sequences": True,
        "recurrent_activation": "hard_sigmoid",
        "activation": None,
    },
]
GRID = [
    (name, variant, SHAPES[i % len(SHAPES)])
    for name in NAMES
    for i, variant in enumerate(VARIANTS)
]
GRID += [
    ("GRU", {**variant, "reset_after": False}, SHAPES[(i + 1) % len(SHAPES)])
    for i, variant in enumerate(VARIANTS[1:4])
]

# Where the weights are replaced: random ones take a while to compile.
ZEROS = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros"}


def make_mask(batch: int, steps: int) -> np.ndarray:
    """Rows masked as a whole, at the start, inside and at the end."""
    mask = np.random.default_rng(1).random((batch, steps)) > 0.3
    mask[0] = batch == 1
    if batch > 2:
        mask[1, : steps // 2] = False
        mask[2, steps // 2 :] = False
    return mask


def make_state(name: str, batch: int, units: int) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    count = 2 if name == "LSTM" else 1
    return [rng.standard_normal((batch, units)).astype("float32") for _ in range(count)]


def make_inputs(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape).astype("float32")


def random_weights(layer: Any, seed: int = 4) -> None:
    """Give all weights, biases too, values that show up in the results."""
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.standard_normal(w.shape) * 0.4 for w in layer.get_weights()])


def pair(
    name: str, units: int, depth: int, batch: int | None = None, **options: Any
) -> tuple[Any, Any]:
    """Keras's layer and ours with the same weights."""
    theirs = getattr(keras.layers, name)(units, **ZEROS, **options)
    ours = getattr(layers, name)(units, **ZEROS, **options)
    for layer in (theirs, ours):
        layer.build((batch, None, depth))
        random_weights(layer)
    return theirs, ours


@pytest.mark.parametrize(("name", "variant", "shape"), GRID)
def test_equals_keras(
    name: str, variant: dict[str, Any], shape: tuple[int, int, int]
) -> None:
    batch, steps, units = shape
    options = dict(variant)
    mask = make_mask(batch, steps) if options.pop("masked", False) else None
    state = make_state(name, batch, units) if options.pop("state", False) else []
    if name == "SimpleRNN":
        options.pop("recurrent_activation", None)
    if keras.backend.backend() == "jax" and options.get("unroll"):
        options.pop("zero_output_for_mask", None)
    theirs, ours = pair(name, units, 5, **options)
    inputs = [make_inputs(batch, steps, 5), *state]

    def call(layer: Any) -> Any:
        def function(x: Any, *state: Any) -> Any:
            return layer(x, initial_state=list(state) or None, mask=mask, training=True)

        return call_with_gradients(layer, function, inputs)

    expected, got = call(theirs), call(ours)
    assert ours.loop == expected_loop(name, options, mask is not None)
    for kind in ("outputs", "inputs", "weights"):
        for e, g in zip(getattr(expected, kind), getattr(got, kind), strict=True):
            np.testing.assert_allclose(g, e, atol=1e-5 * max(1.0, np.abs(e).max()))


@pytest.mark.parametrize(
    ("name", "options", "cell"),
    [
        ("SimpleRNN", {}, reference.elman),
        ("LSTM", {}, reference.lstm),
        ("GRU", {}, reference.gru),
        ("GRU", {"reset_after": False}, reference.gru_reset_before),
    ],
)
def test_equals_float64_reference(
    name: str, options: dict[str, Any], cell: Any
) -> None:
    batch, steps, depth, units = 5, 4, 2, 3
    layer = getattr(layers, name)(
        units, return_sequences=True, return_state=True, **ZEROS, **options
    )
    layer.build((None, None, depth))
    random_weights(layer)
    mask = make_mask(batch, steps)
    mask[4] = True
    if keras.backend.backend() != "jax":
        # Keras outputs zeros, not the state, before a row has begun on these.
        mask[:, 0] = True
    x, state = make_inputs(batch, steps, depth), make_state(name, batch, units)

    def function(x: Any, *state: Any) -> Any:
        return layer(x, initial_state=list(state), mask=mask)

    got = call_with_gradients(layer, function, [x, *state], seed=5)
    weights = [w.astype("float64") for w in layer.get_weights()]
    arrays = [x.astype("float64"), *state, *weights]

    def loss(arrays: list[np.ndarray]) -> complex:
        rng = np.random.default_rng(5)
        outputs = reference.run(cell, arrays[0], arrays[1:-3], arrays[-3:], mask)
        return sum(
            (o * rng.standard_normal(o.shape).astype("float32")).sum() for o in outputs
        )

    expected = reference.run(cell, arrays[0], arrays[1:-3], weights, mask)
    for e, g in zip(expected, got.outputs, strict=True):
        np.testing.assert_allclose(g, e, atol=1e-6)
    slopes = reference.derivatives(loss, arrays)
    for e, g in zip(slopes, [*got.inputs, *got.weights], strict=True):
        np.testing.assert_allclose(g, e, atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_layer(name: str) -> None:
    layer = getattr(layers, name)(
        3,
        kernel_initializer=keras.initializers.Constant(0.2),
        recurrent_initializer=keras.initializers.Constant(0.1),
        return_sequences=True,
        weight_dropout=0.25,
        dropout=0.1,
        seed=7,
    )
    check_layer(
        layer,
        make_inputs(4, 5, 2),
        output_shape=(4, 5, 3),
        output_dtype="bfloat16",
        weights=3,
    )
    mask = make_mask(4, 5)
    assert layer.compute_mask(None, mask) is mask


@pytest.mark.parametrize("name", NAMES)
def test_weights_have_keras_names_and_order(name: str) -> None:
    theirs, ours = pair(name, 3, 2)
    assert [(v.name, v.shape) for v in ours.weights] == [
        (v.name, v.shape) for v in theirs.weights
    ]


@pytest.mark.parametrize("name", NAMES)
def test_takes_keras_configuration_and_positional_arguments(name: str) -> None:
    theirs = getattr(keras.layers, name)(3, "relu", go_backwards=True)
    ours = getattr(layers, name).from_config(theirs.get_config())
    config = ours.get_config()
    assert config.pop("weight_dropout") == 0.0
    assert config.pop("low_rank") == 0
    assert config == theirs.get_config()
    again = getattr(layers, name)(3, "relu")
    assert again.cell.activation is keras.activations.relu


@pytest.mark.parametrize("name", NAMES)
def test_input_dropout_draws_the_masks_that_keras_draws(name: str) -> None:
    theirs, ours = pair(name, 3, 5, dropout=0.4, seed=11)
    x = make_inputs(4, 3, 5)
    for _ in range(2):
        np.testing.assert_allclose(
            ops.convert_to_numpy(ours(x, training=True)),
            ops.convert_to_numpy(theirs(x, training=True)),
            atol=1e-5,
        )
    assert ours.loop == expected_loop(name, {})


@pytest.mark.parametrize("name", NAMES)
def test_stateful_goes_on_where_the_last_batch_ended(name: str) -> None:
    # Not beside a stateful layer of Keras: on PyTorch those have no gradient.
    theirs, _ = pair(name, 3, 5, return_state=True)
    _, ours = pair(name, 3, 5, batch=2, stateful=True)
    x = make_inputs(2, 6, 5)
    state = [np.zeros((2, 3), "float32") for _ in make_state(name, 2, 3)]
    for part in (x[:, :3], x[:, 3:]):
        before = [ops.convert_to_tensor(s) for s in state]
        expected = call_with_gradients(
            theirs, lambda x, s=before: theirs(x, initial_state=s)[0], [part]
        )
        got = call_with_gradients(ours, ours, [part])
        if keras.backend.backend() == "jax":
            # Keras keeps such states out of `variables`: a traced call loses them.
            ours(part)
        for e, g in zip(
            itertools.chain(expected.outputs, expected.inputs, expected.weights),
            itertools.chain(got.outputs, got.inputs, got.weights),
            strict=True,
        ):
            np.testing.assert_allclose(g, e, atol=1e-5)
        _, *state = theirs(part, initial_state=before)
        state = [np.asarray(ops.convert_to_numpy(s)) for s in state]
    with pytest.raises(ValueError, match="batch size"):
        ours(x[:1])


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_a_state_has_a_row_for_each_of_the_batch(name: str) -> None:
    only_on("jax")
    layer = getattr(layers, name)(8)
    x, state = make_inputs(4, 3, 5), make_state(name, 1, 8)
    layer(x)
    with pytest.raises((ValueError, TypeError)):  # never what lies behind it in memory
        ops.convert_to_numpy(layer(x, initial_state=state))


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_a_mask_of_one_row_is_that_of_all(name: str) -> None:
    only_on("jax")
    layer = getattr(layers, name)(8)
    x, mask = make_inputs(4, 3, 5), np.array([[True, False, True]])
    one, all_rows = layer(x, mask=mask), layer(x, mask=np.repeat(mask, 4, axis=0))
    np.testing.assert_allclose(
        ops.convert_to_numpy(one), ops.convert_to_numpy(all_rows), atol=1e-6
    )


@pytest.mark.parametrize("name", NAMES)
def test_on_kerass_loop_inputs_are_cast_as_keras_does(name: str) -> None:
    only_on("jax")
    options = {"dropout": 0.1, "recurrent_dropout": 0.1, "dtype": "mixed_bfloat16"}
    layer = getattr(layers, name)(8, **options)
    found = layer(make_inputs(2, 3, 5), training=True)
    assert np.isfinite(ops.convert_to_numpy(ops.cast(found, "float32"))).all()


def test_two_halves_with_carried_state_equal_the_whole() -> None:
    _, layer = pair("LSTM", 4, 3, return_sequences=True, return_state=True)
    x = make_inputs(2, 8, 3)
    whole, *last = layer(x)
    first, *state = layer(x[:, :4])
    second, *state = layer(x[:, 4:], initial_state=state)
    halves = ops.convert_to_numpy(ops.concatenate([first, second], axis=1))
    np.testing.assert_allclose(halves, ops.convert_to_numpy(whole), atol=1e-6)
    for e, g in zip(last, state, strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(g), ops.convert_to_numpy(e), atol=1e-6
        )


@pytest.mark.parametrize(
    ("options", "loop"),
    [
        ({}, expected_loop("LSTM", {})),
        ({"unroll": True}, "ops-loop"),
        ({"dropout": 0.5}, expected_loop("LSTM", {})),
        ({"recurrent_dropout": 0.5}, "keras"),
        ({"dropout": 0.5, "implementation": 1}, "keras"),
        ({"activation": keras.layers.LeakyReLU()}, "keras"),
    ],
)
def test_says_which_loop_it_took(options: dict[str, Any], loop: str) -> None:
    layer = layers.GRU(2, **ZEROS, **options)
    assert layer.loop is None
    layer(make_inputs(1, 2, 2))
    assert layer.loop == loop


def test_a_layer_in_a_functional_model_of_unknown_length() -> None:
    tokens = keras.Input((None,), dtype="int32")
    embedded = keras.layers.Embedding(7, 3, mask_zero=True)(tokens)
    hidden = layers.LSTM(4, return_sequences=True)(embedded)
    model = keras.Model(tokens, layers.GRU(5)(hidden))
    assert model.output_shape == (None, 5)
    short, padded = np.array([[1, 2]]), np.array([[1, 2, 0, 0]])
    np.testing.assert_allclose(
        ops.convert_to_numpy(model(short)),
        ops.convert_to_numpy(model(padded)),
        atol=1e-6,
    )


def test_fits_compiled_and_under_a_mixed_policy() -> None:
    model = keras.Sequential(
        [
            layers.LSTM(4, return_sequences=True, dtype="mixed_bfloat16"),
            layers.GRU(4, dtype="mixed_bfloat16"),
            keras.layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse", jit_compile=keras.backend.backend() != "torch")
    x = make_inputs(8, 3, 2)
    losses = model.fit(x, x[:, 0, :1], epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


class TestWeightDropout:
    def linear(self, rate: float) -> Any:
        """h' = h U: what the recurrent matrix was can be read off the states."""
        layer = layers.SimpleRNN(
            6,
            activation=None,
            use_bias=False,
            return_sequences=True,
            kernel_initializer="zeros",
            weight_dropout=rate,
            seed=3,
        )
        layer.build((None, None, 1))
        return layer

    def matrix(self, layer: Any, training: bool) -> np.ndarray:
        hidden = layer(
            np.zeros((6, 3, 1), "float32"),
            initial_state=[ops.eye(6)],
            training=training,
        )
        u, u2, u3 = np.moveaxis(ops.convert_to_numpy(hidden), 1, 0)
        # The same connections are missing at every step of a batch.
        np.testing.assert_allclose(u2, u @ u, atol=1e-5)
        np.testing.assert_allclose(u3, u @ u @ u, atol=1e-5)
        return np.asarray(u)

    def test_drops_and_scales_weights_once_a_batch(self) -> None:
        layer = self.linear(0.5)
        whole = layer.get_weights()[1]
        first, second = self.matrix(layer, True), self.matrix(layer, True)
        assert (first != second).any()
        for dropped in (first, second):
            kept = dropped != 0
            assert 0.2 < kept.mean() < 0.8
            np.testing.assert_allclose(dropped[kept], 2 * whole[kept], rtol=1e-5)

    def test_is_exact_outside_training(self) -> None:
        layer = self.linear(0.5)
        whole = layer.get_weights()[1]
        np.testing.assert_allclose(self.matrix(layer, False), whole, atol=1e-6)
        self.matrix(layer, True)
        np.testing.assert_array_equal(layer.get_weights()[1], whole)

    def test_a_dropped_weight_has_no_gradient(self) -> None:
        layer = self.linear(0.5)
        state = np.eye(6, dtype="float32")

        def call(state: Any) -> Any:
            x = np.zeros((6, 1, 1), "float32")
            return layer(x, initial_state=[state], training=True)

        got = call_with_gradients(layer, call, [state])
        dropped = got.outputs[0][:, 0] == 0
        np.testing.assert_array_equal(got.weights[1][dropped], 0)
        assert (got.weights[1][~dropped] != 0).all()

    def test_masks_go_on_from_the_saved_generator(self) -> None:
        layer, other = self.linear(0.5), self.linear(0.5)
        first = self.matrix(layer, True)
        state = [ops.copy(v.value) for v in layer.variables]
        second = self.matrix(layer, True)
        for variable, value in zip(other.variables, state, strict=True):
            variable.assign(value)
        np.testing.assert_array_equal(self.matrix(other, True), second)
        again = self.linear(0.5)
        again.set_weights(layer.get_weights())
        assert (self.matrix(again, True) != second).any()
        assert first.shape == second.shape

    @pytest.mark.parametrize(
        "options",
        [
            {"recurrent_dropout": 0.1},
            {"dropout": 0.1, "implementation": 1},
            {"use_cudnn": True},
        ],
    )
    def test_refuses_what_only_keras_can_run(self, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="weight_dropout expected 0 beside"):
            layers.LSTM(2, weight_dropout=0.5, **options)

    @pytest.mark.parametrize("rate", [-0.1, 1.0])
    def test_refuses_a_rate_out_of_range(self, rate: float) -> None:
        with pytest.raises(ConfigError, match="at least 0 and below 1"):
            layers.GRU(2, weight_dropout=rate)
