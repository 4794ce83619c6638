"""Adaptive and sampled output layers, against float64 NumPy and by their promises."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from keras_rnnlm import layers
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers import outputs
from keras_rnnlm.layers.adaptive import default_cutoffs
from keras_rnnlm.layers.kernels import sampled_softmax, softmax
from keras_rnnlm.layers.kernels.fused_cross_entropy import FusedCrossEntropy
from tests.layers.check import check_layer
from tests.layers.gradients import call_with_gradients

RNG = np.random.default_rng(0)
WORDS, WIDTH = 40, 16
HIDDEN = RNG.standard_normal((3, 7, WIDTH)).astype("float32")
TARGETS = RNG.integers(0, WORDS, (3, 7)).astype("int32")
WEIGHTS = RNG.random((3, 7)).astype("float32")
WEIGHTS[0, :3] = 0
COUNTS = RNG.integers(0, 1000, WORDS)


def array(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor))


def adaptive(cutoffs: Any = (10, 25), **options: Any) -> Any:
    layer = layers.AdaptiveOutput(WORDS, cutoffs, bias_initializer="ones", **options)
    layer.build(HIDDEN.shape)
    layer.rank_words(COUNTS)
    rng = np.random.default_rng(1)
    for weight in layer.trainable_variables:
        weight.assign(rng.standard_normal(weight.shape).astype("float32") / 2)
    return layer


def sampled(samples: int = 20, tied: bool = True, **options: Any) -> Any:
    layer = layers.SampledOutput(WORDS, samples, 0, tied=tied, **options)
    layer.build(HIDDEN.shape, (WORDS, WIDTH) if tied else None)
    layer.rank_words(COUNTS)
    return layer


MATRIX = RNG.standard_normal((WORDS, WIDTH)).astype("float32")


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(-1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return result


def brute_force(layer: Any, hidden: np.ndarray) -> np.ndarray:
    """Log-probabilities by id in float64, a word at a time."""
    head, bias, *tails = (array(w).astype("f8") for w in layer.trainable_variables)
    first = layer.cutoffs[0]
    of_head = log_softmax(hidden.astype("f8") @ head + bias)
    bounds = [*layer.cutoffs, layer.vocabulary_size]
    by_rank = [of_head[..., r] for r in range(first)]
    for i, (begin, end) in enumerate(zip(bounds, bounds[1:], strict=False)):
        projection, kernel, own = tails[3 * i : 3 * i + 3]
        inside = log_softmax(hidden.astype("f8") @ projection @ kernel + own)
        by_rank += [
            of_head[..., first + i] + inside[..., r] for r in range(end - begin)
        ]
    ids = np.argsort(-COUNTS, kind="stable")
    result = np.empty((*hidden.shape[:-1], layer.vocabulary_size))
    for rank, word in enumerate(ids):
        result[..., word] = by_rank[rank]
    return result


@pytest.mark.parametrize("cutoffs", [(10, 25), (1,), (39,), (5, 6, 7), None])
def test_adaptive_probabilities_equal_numpy_and_sum_to_one(cutoffs: Any) -> None:
    layer = adaptive(cutoffs)
    found = array(layer.log_probabilities(HIDDEN))
    np.testing.assert_allclose(found, brute_force(layer, HIDDEN), atol=2e-5)
    np.testing.assert_allclose(np.exp(found).sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_adaptive_cross_entropy_equals_numpy(training: bool) -> None:
    layer = adaptive()
    found = layer.cross_entropy(HIDDEN, TARGETS, WEIGHTS, training=training)
    by_id = brute_force(layer, HIDDEN)
    nats = -np.take_along_axis(by_id, TARGETS[..., None], -1)[..., 0]
    np.testing.assert_allclose(array(found.nats), nats, atol=2e-5)
    loss = float(array(ops.stop_gradient(found.loss)))
    assert loss == pytest.approx((nats * WEIGHTS).sum(), rel=1e-5)
    if not training:
        np.testing.assert_array_equal(array(found.correct), by_id.argmax(-1) == TARGETS)
    assert layer.loop == layer.planned_loop()
    assert layer.loop.startswith("adaptive-")


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_adaptive_gradients_equal_those_of_all_log_probabilities(policy: str) -> None:
    layer = adaptive(dtype=policy)

    def fused(hidden: Any) -> Any:
        return layer.cross_entropy(hidden, TARGETS, WEIGHTS, training=True).loss

    def whole(hidden: Any) -> Any:
        targets = ops.convert_to_tensor(TARGETS[..., None])
        chosen = ops.take_along_axis(layer(hidden), targets, axis=-1)[..., 0]
        return -ops.sum(chosen * ops.convert_to_tensor(WEIGHTS))

    ours = call_with_gradients(layer, fused, [HIDDEN])
    theirs = call_with_gradients(layer, whole, [HIDDEN])
    slack = 2e-5 if policy == "float32" else 0.05
    np.testing.assert_allclose(ours.outputs[0], theirs.outputs[0], rtol=1e-5)
    np.testing.assert_allclose(ours.inputs[0], theirs.inputs[0], atol=slack)
    for weight, one, two in zip(
        layer.trainable_variables, ours.weights, theirs.weights, strict=True
    ):
        np.testing.assert_allclose(one, two, atol=slack, err_msg=weight.name)


@pytest.mark.parametrize("rows", [1, 128, 129, 300])
def test_adaptive_blocks_of_any_number_of_rows(rows: int) -> None:
    layer = adaptive((2, 5))
    rng = np.random.default_rng(rows)
    hidden = rng.standard_normal((rows, WIDTH)).astype("float32")
    targets = rng.integers(0, WORDS, rows)
    found = layer.cross_entropy(hidden, targets, np.ones(rows, "f4"), training=True)
    nats = -brute_force(layer, hidden)[np.arange(rows), targets]
    np.testing.assert_allclose(array(found.nats), nats, atol=5e-5)


def test_adaptive_layer() -> None:
    layer = layers.AdaptiveOutput(WORDS, (10, 25), 4, "glorot_normal", "ones")
    check_layer(layer, HIDDEN, output_shape=(3, 7, WORDS), weights=8)


@pytest.mark.parametrize("tied", [False, True])
def test_sampled_layer(tied: bool) -> None:
    layer = layers.SampledOutput(
        WORDS, 20, 3, tied, True, kernel_initializer="he_normal"
    )
    inputs = (HIDDEN / 16, MATRIX) if tied else (HIDDEN / 16,)
    check_layer(layer, *inputs, output_shape=(3, 7, WORDS), weights=2 - tied)


def test_sampled_evaluates_the_whole_softmax() -> None:
    layer = sampled()
    found = layer.cross_entropy(HIDDEN, TARGETS, WEIGHTS, MATRIX)
    exact = log_softmax(HIDDEN.astype("f8") @ MATRIX.T.astype("f8"))
    nats = -np.take_along_axis(exact, TARGETS[..., None], -1)[..., 0]
    np.testing.assert_allclose(array(found.nats), nats, rtol=1e-4, atol=1e-4)
    by_id = array(layer.log_probabilities(HIDDEN, MATRIX))
    np.testing.assert_allclose(np.exp(by_id).sum(-1), 1, atol=1e-5)


def test_sampled_evaluates_by_the_kernel_of_the_whole_softmax(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernels: list[str] = []

    class Seen(FusedCrossEntropy):
        def __call__(self, *arguments: Any) -> Any:
            kernels.append(self.loop)
            return super().__call__(*arguments)

    monkeypatch.setattr(outputs, "FusedCrossEntropy", Seen)
    sampled().cross_entropy(HIDDEN, TARGETS, WEIGHTS, MATRIX)
    assert kernels == [softmax.choose("float32")]


@pytest.mark.parametrize("by_words", [True, False])
def test_sampled_cross_entropy_equals_numpy(by_words: bool) -> None:
    hidden, targets, weights = HIDDEN[0], TARGETS[0], WEIGHTS[0]
    samples = np.array([0, 3, 3, int(targets[1]), 39], "int32")
    correction = np.linspace(-1, 1, 5).astype("float32")
    bias = RNG.standard_normal(WORDS).astype("float32")

    def call(hidden: Any, matrix: Any, bias: Any) -> list[Any]:
        found = sampled_softmax.cross_entropy(
            hidden,
            matrix,
            bias,
            ops.convert_to_tensor(targets),
            ops.convert_to_tensor(samples),
            ops.convert_to_tensor(correction),
            ops.convert_to_tensor(weights),
            "float32",
            by_words,
        )
        return [found.loss, found.nats]

    matrix = MATRIX if by_words else np.ascontiguousarray(MATRIX.T)
    got = call_with_gradients(keras.layers.Layer(), call, [hidden, matrix, bias])
    logits = hidden.astype("f8") @ MATRIX.T.astype("f8") + bias
    nats = []
    for n, target in enumerate(targets):
        others = [
            np.exp(logits[n, s] - c)
            for s, c in zip(samples, correction, strict=True)
            if s != target
        ]
        own = np.exp(logits[n, target])
        nats.append(np.log(own + sum(others)) - logits[n, target])
    np.testing.assert_allclose(got.outputs[1], nats, rtol=1e-5, atol=1e-5)
    assert float(got.outputs[0]) == pytest.approx(np.dot(nats, weights), rel=1e-5)
    assert all(np.isfinite(gradient).all() for gradient in got.inputs)


def test_ranks_beyond_the_frequent_ones_are_drawn_log_uniformly() -> None:
    words, samples, draws = 1000, 100, 2000
    counts = np.zeros(words)
    for i in range(draws):
        uniform = np.full(samples, (i + 0.5) / draws, "float32")
        uniform = ops.convert_to_tensor(uniform)
        ranks = array(sampled_softmax.draw_ranks(uniform, words))
        counts += np.bincount(ranks, minlength=words)
    rank = np.arange(words)
    expected = np.log((rank + 2) / (rank + 1)) / np.log(1001 / 51) * 50
    expected[:50] = 1
    np.testing.assert_allclose(counts / draws, expected, rtol=0.02, atol=2e-3)
    logs = array(sampled_softmax.log_expected(ops.convert_to_tensor(rank), 1000, 100))
    np.testing.assert_allclose(logs, np.log(expected), rtol=1e-4, atol=1e-5)


def test_the_sum_over_drawn_words_is_that_of_all_on_average() -> None:
    logits = 0.3 * RNG.standard_normal(WORDS)
    sums = []
    for _ in range(2000):
        uniform = RNG.random(20).astype("float32")
        ranks = array(sampled_softmax.draw_ranks(ops.convert_to_tensor(uniform), WORDS))
        correction = array(
            sampled_softmax.log_expected(ops.convert_to_tensor(ranks), WORDS, 20)
        )
        sums.append(np.exp(logits[ranks] - correction).sum())
    assert np.mean(sums) == pytest.approx(np.exp(logits).sum(), rel=0.005)


def test_sampled_training_estimates_the_nats_of_the_whole_softmax() -> None:
    for samples, close in ((30, 1.0), (WORDS, 1e-4)):
        layer = sampled(samples=samples)
        exact = layer.cross_entropy(HIDDEN / 4, TARGETS, WEIGHTS, MATRIX)
        drawn, again = (
            layer.cross_entropy(HIDDEN / 4, TARGETS, WEIGHTS, MATRIX, training=True)
            for _ in range(2)
        )
        np.testing.assert_allclose(array(drawn.nats), array(exact.nats), atol=close)
        # Others are drawn, unless all words take part.
        change = np.abs(array(again.nats) - array(drawn.nats)).max()
        assert (change > 0) == (samples < WORDS)
        assert layer.loop == "sampled"


def test_words_are_ranked_by_their_counts() -> None:
    layer = sampled()
    ranks, ids = array(layer.order)
    assert (np.diff(COUNTS[ids]) <= 0).all()
    np.testing.assert_array_equal(ranks[ids], np.arange(WORDS))
    with pytest.raises(ValueError, match="numpy.bincount"):
        layer.rank_words(COUNTS[1:])


@pytest.mark.parametrize("words", [2, 10, 1000, 20_000, 1_000_000])
def test_default_cutoffs_are_possible(words: int) -> None:
    layers.AdaptiveOutput(words, default_cutoffs(words))


def test_errors_say_what_was_expected() -> None:
    for cutoffs in ((), (0, 5), (5, 5), (40,), (7, 3)):
        with pytest.raises(ConfigError, match="cutoffs that rise"):
            layers.AdaptiveOutput(WORDS, cutoffs)
    with pytest.raises(ConfigError, match="factor of 1"):
        layers.AdaptiveOutput(WORDS, (5,), factor=0)
    with pytest.raises(ConfigError, match="samples of 1"):
        layers.SampledOutput(WORDS, 0)
    with pytest.raises(ValueError, match="matrices of its own"):
        adaptive().cross_entropy(HIDDEN, TARGETS, WEIGHTS, MATRIX)
