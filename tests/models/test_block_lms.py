"""The Transformer and the convolutional network keep the contract of `RNNLM`."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from keras_rnnlm.data.streams import StreamBatches
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.models.block_lm import BlockLM
from keras_rnnlm.models.compiled import compiled
from keras_rnnlm.models.convolutional_lm import ConvolutionalLM
from keras_rnnlm.models.packed import unpackable
from keras_rnnlm.models.transformer_lm import TransformerLM
from keras_rnnlm.models.weights import assign_weights, named_weights, weight_arrays
from keras_rnnlm.scoring.scorer import score_segments
from tests.models.tiny import stream, text
from tests.scoring.texts import compiled_step

NUMPY = ops.convert_to_numpy
KINDS: list[tuple[type[BlockLM], dict[str, Any]]] = [
    (TransformerLM, {"heads": 2, "context": 4}),
    (TransformerLM, {"heads": 1, "context": 30, "tie_weights": False}),
    (ConvolutionalLM, {"kernel_width": 3}),
    (ConvolutionalLM, {"kernel_width": 2, "output": "mixture", "mixtures": 2}),
]
ONE_OF_EACH = [KINDS[0], KINDS[2]]


def network(kind: type[Any], **options: Any) -> Any:
    return kind(11, **{"units": 8, "layers": 2, "seed": 3, **options})


def stirred(model: Any) -> Any:
    """Weights so large that every part of the network counts."""
    rng = np.random.default_rng(1)
    for variable in named_weights(model).values():
        noise = rng.normal(0.0, 0.3, variable.shape)
        variable.assign(NUMPY(variable.value) + noise)
    return model


def logits_of(model: Any, *texts: np.ndarray) -> list[np.ndarray]:
    """What a call of the model, compiled, gives for each text."""
    call = compiled(model, lambda tokens: model(tokens))
    return [NUMPY(call(tokens.astype("int32"))) for tokens in texts]


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_step_by_step_equals_the_whole_sequence(
    kind: type[Any], options: dict[str, Any]
) -> None:
    model = stirred(network(kind, **options))
    step = compiled_step(model)
    rows = [1, 2, 3, 4, 9, 2, 1, 1, 5], [10, 9, 8, 7, 0, 3, 3, 2, 6]
    tokens = np.array(rows, "int32")
    whole, last = step(tokens, model.initial_state(2))
    np.testing.assert_allclose(np.exp(NUMPY(whole)).sum(-1), 1, atol=1e-5)
    state = model.initial_state(2)
    first, state = step(tokens[:, :2], state)
    np.testing.assert_allclose(NUMPY(first), NUMPY(whole[:, :2]), atol=1e-4)
    for t in range(2, 9):
        one, state = step(tokens[:, t], state)
        np.testing.assert_allclose(NUMPY(one), NUMPY(whole[:, t]), atol=1e-4)
    for a, b in zip(keras.tree.flatten(state), keras.tree.flatten(last), strict=True):
        np.testing.assert_allclose(NUMPY(a), NUMPY(b), atol=1e-4)
    (logits,) = logits_of(model, tokens)
    expected = NUMPY(ops.log_softmax(logits, axis=-1))
    np.testing.assert_allclose(NUMPY(whole), expected, atol=1e-4)


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_nothing_depends_on_what_comes_later_or_beside(
    kind: type[Any], options: dict[str, Any]
) -> None:
    model = stirred(network(kind, **options))
    tokens = np.array([[1, 2, 3, 4, 9, 2], [10, 9, 8, 7, 0, 3]])
    other = tokens.copy()
    other[0, 3:], other[1] = 7, 1
    one, two = logits_of(model, tokens, other)
    np.testing.assert_allclose(one[0, :3], two[0, :3], atol=1e-5)
    assert np.abs(one[0, 3] - two[0, 3]).max() > 1e-3


@pytest.mark.parametrize(
    ("kind", "options", "reach"),
    [
        (TransformerLM, {"heads": 2, "context": 3}, 5),
        (ConvolutionalLM, {"kernel_width": 3}, 5),
    ],
)
def test_what_is_known_comes_from_as_far_as_is_said(
    kind: type[Any], options: dict[str, Any], reach: int
) -> None:
    """Two layers that each see two steps back reach four steps back."""
    model = stirred(network(kind, **options))
    tokens = np.array([[1, 2, 3, 4, 9, 2, 8]])
    other = np.where(tokens == 1, 10, tokens)  # the first one alone
    one, two = logits_of(model, tokens, other)
    difference = np.abs(two - one).max(axis=-1)[0]
    assert difference[reach - 1] > 1e-5
    assert difference[reach:].max() < 1e-6


@pytest.mark.parametrize(("kind", "options"), [KINDS[0], KINDS[3]])
def test_they_learn(kind: type[Any], options: dict[str, Any]) -> None:
    model = network(kind, **{**options, "dropout": 0.1, "units": 16})
    batches = stream(11, 4, 6, cycle=True)
    model.compile(keras.optimizers.Adam(0.02))
    log = model.fit(batches, epochs=20, verbose=0).history
    assert log["loss"][-1] < 0.5 * log["loss"][0]
    found = model.evaluate(batches, verbose=0, return_dict=True)
    assert found["accuracy"] > 0.9


@pytest.mark.parametrize(("kind", "options"), ONE_OF_EACH)
def test_state_is_carried_through_fit(kind: type[Any], options: dict[str, Any]) -> None:
    """A stream in one window of 12 and in four of 3: the same loss, batch for batch."""
    one, two = stirred(network(kind, **options)), network(kind, **options)
    assign_weights(two, weight_arrays(one))
    losses = []
    for model, steps in ((one, 12), (two, 3)):
        model.compile(keras.optimizers.SGD(0.0))
        batches = StreamBatches(text(11, length=193), 2, steps)  # 96 in each lane
        found = model.evaluate(batches, verbose=0, return_dict=True)
        losses.append(found["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize(("kind", "options"), ONE_OF_EACH)
def test_scores_do_not_depend_on_the_cut(
    kind: type[Any], options: dict[str, Any]
) -> None:
    """Segments of the scorer, beside one pass over each."""
    model = stirred(network(kind, **options))
    ids = np.random.default_rng(0).integers(0, 11, 60)
    starts, stops = np.array([1, 20, 27]), np.array([20, 27, 60])
    step = compiled_step(model)
    found = score_segments(model, ids, starts, stops, batch_size=2)
    expected = []
    for start, stop in zip(starts, stops, strict=True):
        inputs, targets = ids[start - 1 : stop - 1], ids[start:stop]
        log_probs, _ = step(inputs[None].astype("int32"), model.initial_state(1))
        expected.append(-NUMPY(log_probs)[0][np.arange(len(targets)), targets])
    np.testing.assert_allclose(found.nats, np.concatenate(expected), atol=1e-4)


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_they_are_made_again(kind: type[Any], options: dict[str, Any]) -> None:
    model = network(kind, **options)
    again = kind.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    for name, array in weight_arrays(model).items():
        np.testing.assert_array_equal(weight_arrays(again)[name], array)
    assert len(model.trainable_variables) == len(named_weights(model))
    assert unpackable(model) == "is no RNNLM"


def test_convolutions_begin_as_they_were_drawn() -> None:
    model = network(ConvolutionalLM, units=32)
    kernel, norm = (
        NUMPY(named_weights(model)[f"blocks.0.{name}"].value)
        for name in ("kernel", "norm")
    )
    np.testing.assert_allclose(norm, np.linalg.norm(kernel, axis=0), rtol=1e-6)
    assert kernel.std() == pytest.approx((4 / 128) ** 0.5, rel=0.05)


def test_what_cannot_be() -> None:
    with pytest.raises(ConfigError, match="a multiple of 2 x 3 heads, received 8"):
        network(TransformerLM, heads=3)
    with pytest.raises(ConfigError, match="1 unit and 1 layer or more"):
        network(ConvolutionalLM, layers=0)
    with pytest.raises(ConfigError, match="Expected heads to be a whole number; rec"):
        network(TransformerLM, heads=2.0)
    with pytest.raises(ConfigError, match="Expected input_dropout to be a number of"):
        network(ConvolutionalLM, input_dropout=1.0)
