"""The mixture of softmaxes against NumPy in float64, whole and chunk by chunk."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from keras_rnnlm import layers
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers.kernels import softmax
from keras_rnnlm.layers.kernels.fused_cross_entropy import FusedCrossEntropy
from keras_rnnlm.layers.kernels.mixture_softmax import MixtureCrossEntropy
from tests.layers.check import check_layer
from tests.layers.gradients import call_with_gradients

RNG = np.random.default_rng(0)
HIDDEN = RNG.standard_normal((2, 3, 8)).astype("float32")
MATRIX = RNG.standard_normal((11, 5)).astype("float32")
TARGETS = RNG.integers(0, 11, (2, 3)).astype("int32")
WEIGHTS = np.array([[0.2, 0.2, 0.2], [0.2, 0.2, 0.0]], "float32")


def array(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor))


def made(tied: bool, mixtures: int = 3, **options: Any) -> layers.MixtureOutput:
    layer = layers.MixtureOutput(11, mixtures, tied=tied, **options)
    layer.build((None, None, 8), *([(11, 5)] if tied else []))
    rng = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(0, 0.5, variable.shape))
    return layer


def reference(layer: layers.MixtureOutput, matrix: np.ndarray) -> np.ndarray:
    """Log-probabilities by the paper's equations, one softmax after the other."""
    weights = {v.name: array(v.value).astype("float64") for v in layer.weights}
    matrix = weights["kernel"].T if "kernel" in weights else matrix.astype("float64")
    width = matrix.shape[1]
    p = np.zeros((2, 3, 11))
    priors = np.exp(HIDDEN @ weights["prior_kernel"])
    priors /= priors.sum(-1, keepdims=True)
    for k in range(layer.mixtures):
        block = slice(k * width, (k + 1) * width)
        latent = np.tanh(
            HIDDEN @ weights["latent_kernel"][:, block] + weights["latent_bias"][block]
        )
        terms = np.exp(latent @ matrix.T + weights["bias"])
        p += priors[..., k, None] * terms / terms.sum(-1, keepdims=True)
    return np.log(p)


@pytest.mark.parametrize("tied", [False, True])
def test_layer(tied: bool) -> None:
    layer = layers.MixtureOutput(11, 3, tied=tied)
    inputs = (HIDDEN, MATRIX) if tied else (HIDDEN,)
    check_layer(layer, *inputs, output_shape=(2, 3, 11), weights=5 - tied)


@pytest.mark.parametrize("tied", [False, True])
def test_probabilities_are_those_of_the_paper(tied: bool) -> None:
    layer = made(tied)
    found = array(layer(HIDDEN, *([MATRIX] if tied else [])))
    np.testing.assert_allclose(found, reference(layer, MATRIX), atol=2e-6)
    np.testing.assert_allclose(np.exp(found.astype("f8")).sum(-1), 1, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("tied", [False, True])
def test_cross_entropy_is_that_of_the_probabilities(tied: bool, training: bool) -> None:
    layer = made(tied)
    found = layer.cross_entropy(
        HIDDEN, TARGETS, WEIGHTS, MATRIX if tied else None, training
    )
    by_word = reference(layer, MATRIX)
    nats = -np.take_along_axis(by_word, TARGETS[..., None], -1)[..., 0]
    np.testing.assert_allclose(array(found.nats), nats, atol=2e-6)
    assert array(found.loss) == pytest.approx((nats * WEIGHTS).sum(), rel=1e-5)
    np.testing.assert_array_equal(array(found.correct), by_word.argmax(-1) == TARGETS)
    assert layer.loop == layer.planned_loop()


@pytest.mark.parametrize("tied", [False, True])
def test_gradients_are_those_of_the_log_of_the_sum(tied: bool) -> None:
    """Against automatic differentiation of the probabilities of a plain call."""
    layer = made(tied)
    arrays = [HIDDEN, MATRIX] if tied else [HIDDEN]

    def one_pass(hidden: Any, *matrix: Any) -> Any:
        return layer.cross_entropy(
            hidden, TARGETS, WEIGHTS, *(matrix or [None]), training=True
        ).loss

    def plain(hidden: Any, *matrix: Any) -> Any:
        chosen = ops.take_along_axis(layer(hidden, *matrix), TARGETS[..., None], -1)
        return -ops.sum(chosen[..., 0] * ops.convert_to_tensor(WEIGHTS))

    found = call_with_gradients(layer, one_pass, arrays)
    wanted = call_with_gradients(layer, plain, arrays)
    pairs = zip(
        [*found.inputs, *found.weights], [*wanted.inputs, *wanted.weights], strict=True
    )
    for gradient, expected in pairs:
        np.testing.assert_allclose(gradient, expected, atol=1e-6)
        assert np.abs(expected).max() > 1e-4


@pytest.mark.parametrize(
    ("rows", "training"), [(3, True), (6, False), (6, True), (1000, True)]
)
def test_chunks_are_the_whole(rows: int, training: bool) -> None:
    """Rows are of logits: of three softmaxes, three make one position."""
    loop = softmax.choose("float32")
    rng = np.random.default_rng(2)
    latent = rng.normal(size=(7, 3, 5)).astype("float32")
    priors = np.log(rng.dirichlet(np.ones(3), 7)).astype("float32")
    bias = rng.normal(size=11).astype("float32")
    targets = rng.integers(0, 11, 7).astype("int32")
    weights = rng.random(7).astype("float32")

    def run(rows: int | None) -> Any:
        function = MixtureCrossEntropy(FusedCrossEntropy(True, "float32", loop, rows))

        def call(*tensors: Any) -> Any:
            return function(
                *tensors, ops.convert_to_tensor(targets), weights, training
            ).loss

        owner = layers.LockedDropout(0.0)
        return call_with_gradients(owner, call, [latent, priors, MATRIX, bias])

    whole, parts = run(None), run(rows)
    for one, other in zip(
        [*whole.outputs, *whole.inputs], [*parts.outputs, *parts.inputs], strict=True
    ):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)


def test_latent_vectors_are_dropped_in_training_alone() -> None:
    layer, plain = made(False, dropout=0.5, seed=3), made(False)
    width = layer.latent_bias.shape[0]
    weights = np.eye(8, 3 * 8, dtype="float32")
    for each in (layer, plain):
        each.latent_kernel.assign(weights)
        each.latent_bias.assign(np.full(width, 2.0))

    def nats(layer: layers.MixtureOutput, training: bool) -> np.ndarray:
        hidden = np.repeat(HIDDEN[:, :1], 3, axis=1)  # three equal steps
        targets = np.repeat(TARGETS[:, :1], 3, axis=1)
        found = layer.cross_entropy(hidden, targets, WEIGHTS, training=training)
        return array(ops.stop_gradient(found.nats))

    np.testing.assert_array_equal(nats(layer, False), nats(plain, False))
    one, two = nats(layer, True), nats(layer, True)
    assert np.abs(one - two).max() > 1e-3  # another mask for each batch
    assert np.abs(one - nats(plain, True)).max() > 1e-3
    np.testing.assert_allclose(one, one[:, :1].repeat(3, 1), atol=1e-6)  # locked


def test_latent_vectors_of_rows_without_time_are_dropped_too() -> None:
    layer, rows = made(False, dropout=0.5, seed=3), HIDDEN[:, 0]
    found = layer.cross_entropy(rows, TARGETS[:, 0], WEIGHTS[:, 0], training=True)
    assert tuple(found.nats.shape) == (2,)
    plain, dropped = array(layer(rows)), array(layer(rows, training=True))
    assert np.abs(plain - dropped).max() > 1e-4


def test_is_a_layer_of_a_functional_model() -> None:
    hidden = keras.Input((3, 4))
    output = layers.MixtureOutput(7, mixtures=2, dropout=0.5)
    model = keras.Model(hidden, output(hidden))
    vectors = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    plain = keras.ops.convert_to_numpy(model(vectors))
    assert plain.shape == (2, 3, 7)
    dropped = keras.ops.convert_to_numpy(model(vectors, training=True))
    assert np.abs(plain - dropped).max() > 1e-4


def test_one_softmax_is_a_softmax() -> None:
    layer = made(tied=False, mixtures=1)
    weights = {v.name: array(v.value) for v in layer.weights}
    latent = np.tanh(HIDDEN @ weights["latent_kernel"] + weights["latent_bias"])
    plain = layers.Output(11)
    plain.build((None, None, 8))
    plain.kernel.assign(weights["kernel"])
    plain.bias.assign(weights["bias"])
    np.testing.assert_allclose(
        array(layer(HIDDEN)), array(plain.log_probabilities(latent)), atol=2e-6
    )


def test_what_cannot_be() -> None:
    with pytest.raises(ConfigError, match="received 0"):
        layers.MixtureOutput(11, 0)
    with pytest.raises(ValueError, match="if and only if it is tied"):
        layers.MixtureOutput(11, 2, tied=True)(HIDDEN)
