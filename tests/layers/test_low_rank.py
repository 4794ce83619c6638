"""Low-rank factors beside fixed matrices, against layers with the sums as matrices."""

from typing import Any

import keras
import numpy as np
import pytest

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers import LSTM
from keras_rnnlm.layers.low_rank import LowRank
from keras_rnnlm.layers.make import layer_weights, make_layer
from keras_rnnlm.models.compiled import compiled
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.weights import assign_weights, merged, weight_arrays

CELLS = ["lstm", "gru", "simple_rnn", "peephole_lstm", "min_gru"]


def inputs() -> Any:
    return np.random.default_rng(1).normal(size=(2, 5, 6)).astype("float32")


@pytest.mark.parametrize("cell", CELLS)
def test_it_computes_with_the_sum(cell: str) -> None:
    options: dict[str, Any] = {"return_sequences": True, "seed": 1}
    low = make_layer(cell, None, 8, low_rank=2, **options)
    whole = make_layer(cell, None, 8, **options)
    low(inputs())
    whole(inputs())
    named, generator = layer_weights(low), np.random.default_rng(0)
    matrices = [n[: -len("_down")] for n in named if n.endswith("_down")]
    assert matrices
    for variable in named.values():
        variable.assign(generator.normal(size=variable.shape) / 3)
    found = {n: keras.ops.convert_to_numpy(v.value) for n, v in named.items()}
    for name, variable in layer_weights(whole).items():
        value = found[name]
        if name in matrices:
            value = value + found[f"{name}_down"] @ found[f"{name}_up"]
        variable.assign(value)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(low(inputs())),
        keras.ops.convert_to_numpy(whole(inputs())),
        atol=1e-5,
    )
    trained = {id(v) for v in low.trainable_variables}
    assert all(id(named[name]) not in trained for name in matrices)
    assert all(id(named[f"{name}_up"]) in trained for name in matrices)


def test_training_moves_factors_alone_and_merging_keeps_the_function() -> None:
    network = RNNLM(11, units=8, layers=2, low_rank=2, seed=0)
    before = weight_arrays(network)
    network.compile(optimizer=keras.optimizers.Adam(0.01))
    tokens = np.random.default_rng(0).integers(0, 11, (4, 7), "int32")
    network.fit(tokens[:, :-1], tokens[:, 1:], epochs=3, verbose=0)
    after = weight_arrays(network)
    for name in before:
        same = np.array_equal(before[name], after[name])
        fixed = name.startswith("recurrent") and name.endswith("kernel")
        assert same == fixed, name
    plain = RNNLM(11, units=8, layers=2, seed=0)
    assign_weights(plain, merged(after))
    rows = [
        keras.ops.convert_to_numpy(compiled(n, n.step)(tokens, n.initial_state(4))[0])
        for n in (network, plain)
    ]
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)


@pytest.mark.parametrize(
    ("cell", "fixed"),
    [
        ("slstm", "recurrent_kernel"),  # a matrix for each head
        ("mlstm", "gate_kernel"),  # too thin for factors
        ("rg_lru", "convolution_kernel"),
    ],
)
def test_matrices_of_other_shapes_stay_too(cell: str, fixed: str) -> None:
    network = RNNLM(11, cell=cell, units=64, layers=1, low_rank=8, seed=0)
    name = f"recurrent.0.{fixed}"
    before = weight_arrays(network)
    assert (f"{name}_up" in before) == (cell == "slstm")
    network.compile(optimizer=keras.optimizers.Adam(0.01))
    tokens = np.random.default_rng(0).integers(0, 11, (4, 7), "int32")
    network.fit(tokens[:, :-1], tokens[:, 1:], verbose=0)
    after = weight_arrays(network)
    np.testing.assert_array_equal(after[name], before[name])
    plain = RNNLM(11, cell=cell, units=64, layers=1, seed=0)
    assign_weights(plain, merged(after))
    rows = [
        keras.ops.convert_to_numpy(compiled(n, n.step)(tokens, n.initial_state(4))[0])
        for n in (network, plain)
    ]
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)


def test_a_round_trip_of_the_configuration() -> None:
    layer = LSTM.from_config(LSTM(8, low_rank=3).get_config())
    layer(inputs())
    assert layer.get_config()["low_rank"] == 3
    assert "kernel_down" in layer_weights(layer)


@pytest.mark.parametrize(("rank", "says"), [(-1, "0 or more"), (6, "a rank below 6")])
def test_ranks_that_cannot_be(rank: int, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        LSTM(8, low_rank=rank)(inputs())


@pytest.mark.parametrize("cell", ["rg_lru", "lru"])
def test_a_rank_for_which_no_matrix_has_room(cell: str) -> None:
    layer = make_layer(cell, None, 8, low_rank=8, seed=1)
    with pytest.raises(ConfigError, match="a rank below 8, .*received 8"):
        layer.build((None, None, 6))


@pytest.mark.parametrize("cell", ["lstm", "peephole_lstm"])
def test_a_network_that_thaws_keeps_its_matrices_fixed(cell: str) -> None:
    network = RNNLM(11, cell=cell, units=8, layers=1, low_rank=2, seed=0)
    before = [variable.path for variable in network.trainable_variables]
    network.trainable = False
    assert network.trainable_variables == []
    network.trainable = True
    assert [variable.path for variable in network.trainable_variables] == before


def test_a_layer_without_matrices_has_none_to_leave_out() -> None:
    LowRank(4).check()
