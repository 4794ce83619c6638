"""Connections, attention and mixtures in the whole model: one pass and step by step."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from keras_rnnlm.config import Settings
from keras_rnnlm.data.streams import StreamBatches
from keras_rnnlm.models.packed import unpackable
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.weights import assign_weights, weight_arrays
from keras_rnnlm.training.weight_count import count_weights
from tests.models.tiny import stream, text
from tests.scoring.texts import compiled_step

NUMPY = ops.convert_to_numpy
STACKS: tuple[dict[str, Any], ...] = (
    {"connections": "residual"},
    {"connections": "residual", "embedding": 4},
    {"connections": "dense"},
    {"connections": "dense", "tie_weights": False, "cell": "gru"},
    {"attention": 3},
    {"attention": 8, "connections": "dense", "output": "mixture", "mixtures": 2},
)


def network(**options: Any) -> RNNLM:
    return RNNLM(11, **{"units": 6, "layers": 2, "seed": 3, **options})


@pytest.mark.parametrize("options", STACKS)
def test_step_by_step_equals_the_whole_sequence(options: dict[str, Any]) -> None:
    model = network(**options)
    step = compiled_step(model)
    tokens = np.array([[1, 2, 3, 4, 9, 2, 1], [10, 9, 8, 7, 0, 3, 3]], "int32")
    whole, last = step(tokens, model.initial_state(2))
    np.testing.assert_allclose(np.exp(NUMPY(whole)).sum(-1), 1, atol=1e-5)
    state = model.initial_state(2)
    first, state = step(tokens[:, :2], state)
    np.testing.assert_allclose(NUMPY(first), NUMPY(whole[:, :2]), atol=1e-5)
    for t in range(2, 7):
        one, state = step(tokens[:, t], state)
        np.testing.assert_allclose(NUMPY(one), NUMPY(whole[:, t]), atol=1e-5)
    for a, b in zip(keras.tree.flatten(state), keras.tree.flatten(last), strict=True):
        np.testing.assert_allclose(NUMPY(a), NUMPY(b), atol=1e-5)


@pytest.mark.parametrize("options", [STACKS[0], STACKS[-1]])
def test_stacks_learn_and_are_made_again(options: dict[str, Any]) -> None:
    model = network(**{**options, "dropout": 0.1, "units": 12})
    batches = stream(11, 4, 6, cycle=True)
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(batches, epochs=20, verbose=0)
    found = model.evaluate(batches, verbose=0, return_dict=True)
    assert found["accuracy"] > 0.9
    again = RNNLM.from_config(model.get_config())
    shapes = {name: a.shape for name, a in weight_arrays(model).items()}
    assert {n: a.shape for n, a in weight_arrays(again).items()} == shapes


def test_a_dense_stack_sees_every_layer_and_the_word() -> None:
    """Against the layers called one by one."""
    model = network(connections="dense", tie_weights=False, layers=3, embedding=4)
    tokens = np.array([[1, 2, 3]])
    x = model.embedding(tokens)
    for layer in model.recurrent:
        x = ops.concatenate([x, layer(x)[0]], axis=-1)
    hidden, _ = model.hidden(tokens, model.initial_state(1))
    assert hidden.shape == (1, 3, 4 + 3 * 6)
    np.testing.assert_allclose(NUMPY(hidden), NUMPY(x), atol=1e-6)


def test_a_residual_layer_adds_to_its_input() -> None:
    model = network(connections="residual", tie_weights=False, embedding=4)
    tokens = np.array([[1, 2, 3]])
    below = model.recurrent[0](model.embedding(tokens))[0]  # 4 wide to 6: no sum
    hidden, _ = model.hidden(tokens, model.initial_state(1))
    above = below + model.recurrent[1](below)[0]
    np.testing.assert_allclose(NUMPY(hidden), NUMPY(above), atol=1e-6)


def test_attention_carries_its_memory_through_fit() -> None:
    """A stream in one window of 12 and in four of 3: the same loss, batch for batch."""
    one, two = network(attention=8), network(attention=8)
    assign_weights(two, weight_arrays(one))
    losses = []
    for model, steps in ((one, 12), (two, 3)):
        model.compile(keras.optimizers.SGD(0.0))
        batches = StreamBatches(text(11, length=193), 2, steps)  # 96 in each lane
        found = model.evaluate(batches, verbose=0, return_dict=True)
        losses.append(found["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("options", STACKS)
def test_weights_are_counted_and_not_packed(options: dict[str, Any]) -> None:
    model = network(**options)
    assert "has" in str(unpackable(model))
    exact = sum(array.size for array in weight_arrays(model).values())
    settings = Settings(**{"units": 6, "layers": 2, **options})
    assert count_weights(settings, 11) == exact
