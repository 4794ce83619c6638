"""What a watched layer shows is what the layer does."""

import numpy as np
import pytest
from keras import ops

from keras_rnnlm import cell_registry
from keras_rnnlm.layers import LSTM
from keras_rnnlm.layers.make import initial_state, make_layer
from keras_rnnlm.layers.observed import gate, listening, tell
from keras_rnnlm.layers.watch import watch
from keras_rnnlm.models.compiled import compiled

BATCH, STEPS, INPUTS, UNITS = 2, 7, 6, 8


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_only_who_listens_hears() -> None:
    assert gate("forget", 1.0) == 1.0
    with listening("gate") as outer:
        gate("input", 2.0)
        with listening("attention") as inner:
            tell("attention", 3.0)
            gate("lost", 4.0)
        gate("forget", 5.0, holds=True)
    gate("late", 6.0)
    assert [(t.name, t.value, t.holds) for t in outer] == [
        ("input", 2.0, None),
        ("forget", 5.0, True),
    ]
    assert [t.value for t in inner] == [3.0]


@pytest.mark.parametrize(
    ("cell", "rank"),
    [*((cell, 0) for cell in cell_registry.BUILT_IN), ("lstm", 2), ("min_gru", 2)],
)
def test_the_outputs_are_the_layers_own(cell: str, rank: int) -> None:
    layer = make_layer(
        cell, None, UNITS, low_rank=rank, return_sequences=True, return_state=True
    )
    layer.build((None, None, INPUTS))
    for _, up in layer.factors.factors.values():
        up.assign(np.random.default_rng(1).standard_normal(up.shape) / 3)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, 2 * STEPS, INPUTS)).astype(np.float32)
    call = compiled(layer, lambda x, *state: layer(x, initial_state=list(state)))
    _, *state = call(x[:, :STEPS], *initial_state(layer, BATCH))
    expected, *last = call(x[:, STEPS:], *state)
    found = watch(layer, x[:, STEPS:], tuple(state))
    outputs = np.moveaxis(ops.convert_to_numpy(found.outputs), 0, 1)
    np.testing.assert_allclose(outputs, ops.convert_to_numpy(expected), atol=1e-4)
    for array, known in zip(found.states, last, strict=False):  # without the window's
        np.testing.assert_allclose(
            ops.convert_to_numpy(array)[-1], ops.convert_to_numpy(known), atol=1e-5
        )
    gates = {**found.held, **found.replaced, **found.other}
    assert bool(gates) == (cell != "simple_rnn")
    assert len(found.held) + len(found.replaced) == (cell != "simple_rnn")
    for name, value in gates.items():
        assert value.shape[:2] == (STEPS, BATCH), name
        numbers = ops.convert_to_numpy(value)
        assert (numbers >= 0).all() and (numbers <= 1 + 1e-6).all(), name
    names = layer.equation.state_names
    assert len(names) == len(found.states)


def test_gates_of_an_lstm_are_those_of_its_equations() -> None:
    layer = LSTM(UNITS, return_sequences=True, return_state=True)
    layer.build((None, None, INPUTS))
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, STEPS, INPUTS)).astype(np.float32)
    found = watch(layer, x, initial_state(layer, 1))
    w, u, b = (ops.convert_to_numpy(v).astype(np.float64) for v in layer.weights)
    h = c = np.zeros(UNITS)
    for t in range(STEPS):
        i, f, g, o = np.split(x[0, t] @ w + h @ u + b, 4)
        expected = {"input": sigmoid(i), "forget": sigmoid(f), "output": sigmoid(o)}
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        gates = {**found.held, **found.other}
        for name, value in expected.items():
            seen = ops.convert_to_numpy(gates[name])[t, 0]
            np.testing.assert_allclose(seen, value, atol=1e-5)
        np.testing.assert_allclose(
            ops.convert_to_numpy(found.states[1])[t, 0], c, atol=1e-5
        )
    assert set(found.held) == {"forget"}


@pytest.mark.parametrize(
    ("cell", "gate_name"),
    [("gru", "update"), ("coupled_lstm", "forget"), ("sru", "forget")],
)
def test_a_gate_that_is_open_holds_the_state(cell: str, gate_name: str) -> None:
    """With its bias far up, what the gate is said to hold stays as it was."""
    layer = make_layer(cell, None, UNITS, return_sequences=True, return_state=True)
    layer.build((None, None, INPUTS))
    place = {"gru": 0, "coupled_lstm": 0, "sru": 0}[cell]
    for variable in layer.weights:
        if variable.name in ("bias", "forget_bias"):
            values = np.array(ops.convert_to_numpy(variable))
            values[..., place * UNITS : (place + 1) * UNITS] = 50.0
            variable.assign(values)
    rng = np.random.default_rng(2)
    state = tuple(
        ops.convert_to_tensor(rng.standard_normal(s.shape).astype(np.float32))
        for s in initial_state(layer, 1)
    )
    x = rng.standard_normal((1, STEPS, INPUTS)).astype(np.float32)
    found = watch(layer, x, state)
    assert ops.convert_to_numpy(found.held[gate_name]).min() > 0.999
    kept = state[-1]
    np.testing.assert_allclose(
        ops.convert_to_numpy(found.states[-1])[-1],
        ops.convert_to_numpy(kept),
        atol=1e-3,
    )
