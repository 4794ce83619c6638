from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from keras import ops

import keras_rnnlm as krl
from keras_rnnlm.explanation.gates import LayerGates, layer_gates
from keras_rnnlm.explanation.reading import read
from keras_rnnlm.layers.cells import State, Weight, Weights, gate
from keras_rnnlm.layers.cells.weights import matrix, vector
from tests.explanation.models import TEXT, characters


@krl.register_cell("explained_leaky")
@dataclass(frozen=True)
class Leaky(krl.layers.Cell):
    """A researcher's cell: one gate, the same for all steps."""

    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        return {
            "kernel": matrix(inputs, units),
            "bias": vector(units),
            "leak": vector(units, -2.0, inside=True),
        }

    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        return ((units,),)

    def step(self, x: Any, state: State, w: Weights) -> tuple[Any, State]:
        (h,) = state
        a = gate("leak", ops.sigmoid(w.leak), holds=False)
        h = (1 - a) * h + a * ops.tanh(x)
        return h, (h,)


def gates_of(**arguments: Any) -> tuple[LayerGates, ...]:
    lm = characters(**arguments)
    return layer_gates(lm.network, read(lm.tokenizer, TEXT, 40, 40))


def test_an_lstm_holds_by_its_forget_gate() -> None:
    first, second = gates_of()
    for layer in (first, second):
        assert set(layer.gates) == {"input", "forget", "output"}
        assert set(layer.states) == {"h", "c"}
        assert layer.held_by == "forget"
        assert layer.held is layer.gates["forget"]
        assert layer.gates["forget"].shape == (40, 12)
    told = first.to_json(units=5)
    assert len(told["gates"]["forget"]["units"]) == 5
    lives = told["gates"]["forget"]["half_lives"]
    assert lives == sorted(lives, reverse=True)


def test_a_cell_of_ones_own_is_watched_too() -> None:
    for layer in gates_of(cell="explained_leaky"):
        share = 1 / (1 + np.exp(-2.0))  # 1 - sigmoid(-2) stays
        assert layer.held is not None and layer.half_lives is not None
        np.testing.assert_allclose(layer.held, share, rtol=1e-6)
        np.testing.assert_allclose(
            layer.half_lives, np.log(0.5) / np.log(share), rtol=1e-5
        )
        assert list(layer.states) == ["state 1"]  # it names none


def test_a_cell_without_gates_shows_its_state() -> None:
    for layer in gates_of(cell="simple_rnn"):
        assert layer.gates == {} and layer.held is None and layer.half_lives is None
        assert list(layer.states) == ["h"]
        assert layer.to_json()["half_lives"] is None


@pytest.mark.parametrize("cell", ["gru", "mgu", "mlstm"])
def test_what_stays_lies_between_nothing_and_all(cell: str) -> None:
    for layer in gates_of(cell=cell):
        assert layer.held is not None
        assert ((layer.held >= 0) & (layer.held <= 1)).all()


def test_a_gru_holds_by_its_update_gate_in_either_form() -> None:
    for reset_after in (True, False):
        arguments = {"reset_after": reset_after}
        for layer in gates_of(cell="gru", cell_arguments=arguments):
            assert set(layer.gates) == {"update", "reset"}
            assert layer.held_by == "update"
            assert layer.held is layer.gates["update"]
            assert list(layer.states) == ["h"]


def test_half_lives_of_what_never_forgets_are_infinite() -> None:
    ones = np.ones((3, 2), np.float32)
    layer = LayerGates({"forget": ones}, {}, ones, "forget")
    assert layer.half_lives is not None and np.isinf(layer.half_lives).all()
    told = layer.to_json()
    assert told["half_lives"]["longest"] is None
    assert told["half_lives"]["over_100"] == 2
