"""The first layer's input product, made once a word where words are few."""

from typing import Any

import numpy as np
import pytest

from keras_rnnlm.models.rnn_lm import RNNLM
from tests.layers.gradients import Gradients, call_with_gradients

WORDS, BATCH, STEPS = 11, 3, 9


def network(**options: Any) -> RNNLM:
    settings = {"units": 6, "layers": 2, "embedding": 5, "seed": 3}
    return RNNLM(WORDS, **{**settings, **options})


def outcome(model: RNNLM, training: bool, tokens: np.ndarray) -> Gradients:
    shapes = [
        [tuple(array.shape) for array in layer]
        for layer in model.initial_state(len(tokens))
    ]
    generator = np.random.default_rng(1)
    flat = [
        generator.standard_normal(shape).astype("float32")
        for layer in shapes
        for shape in layer
    ]

    def call(*arrays: Any) -> Any:
        left = iter(arrays)
        state = tuple(tuple(next(left) for _ in layer) for layer in shapes)
        return model.hidden(tokens, state, training=training)

    return call_with_gradients(model, call, flat)


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"embedding_dropout": 0.3, "weight_dropout": 0.2, "input_dropout": 0.0},
        {"dtype": "mixed_bfloat16", "layers": 1},
    ],
    ids=["plain", "dropout", "bfloat16"],
)
def test_the_same_as_place_by_place(
    cell: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = np.random.default_rng(0).integers(0, WORDS, (BATCH, STEPS)).astype("int32")
    training = "embedding_dropout" in options
    if training:
        tokens[1, 4] = -1  # no word, as noising leaves it
    model = network(cell=cell, **options)
    assert model._few_words(tokens, training) == _can(cell)
    found = outcome(model, training, tokens)
    monkeypatch.setattr(RNNLM, "_few_words", lambda *_: False)
    wanted = outcome(network(cell=cell, **options), training, tokens)
    # Rows of gradients are summed before they are rounded to 16 bits, not after.
    close = {"rtol": 0.05, "atol": 0.05} if "dtype" in options else {"atol": 2e-5}
    for name in ("outputs", "inputs", "weights"):
        for a, b in zip(getattr(found, name), getattr(wanted, name), strict=True):
            np.testing.assert_allclose(a, b, **close)


def _can(cell: str) -> bool:
    """Whether the loop takes projected inputs: PyTorch's own do not."""
    return network(cell=cell).planned_loops()[0] != "torch-fused"


@pytest.mark.parametrize(
    ("options", "training", "shape"),
    [
        ({}, False, (2, 10)),  # fewer places than twice the words
        ({"input_dropout": 0.5}, True, (BATCH, STEPS)),
        ({"connections": "residual", "embedding": 6}, False, (BATCH, STEPS)),
        ({"cell": "min_gru"}, False, (BATCH, STEPS)),
    ],
)
def test_where_places_need_products_of_their_own(
    options: dict[str, Any], training: bool, shape: tuple[int, int]
) -> None:
    assert not network(**options)._few_words(np.zeros(shape, "int32"), training)
