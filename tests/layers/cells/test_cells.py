"""Every cell against its paper's equations in float64, forward and backward."""

import tracemalloc
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from keras_rnnlm import cell_registry
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers import CellLayer
from keras_rnnlm.models.compiled import compiled
from keras_rnnlm.testing import check_cell
from tests.layers import reference
from tests.layers.cells import references
from tests.layers.check import check_layer
from tests.layers.gradients import call_with_gradients

OWN = [name for name in cell_registry.BUILT_IN if name not in ("lstm", "gru")][1:]
BATCH, STEPS, INPUTS, UNITS = 2, 3, 3, 4

# Every value of every setting, and inputs as wide as the output or not.
CASES: list[tuple[str, dict[str, Any], int]] = [
    ("coupled_lstm", {}, INPUTS),
    ("peephole_lstm", {}, INPUTS),
    ("layer_norm_lstm", {}, INPUTS),
    ("mgu", {}, INPUTS),
    ("mogrifier_lstm", {}, INPUTS),
    ("mogrifier_lstm", {"rounds": 2, "rank": 2}, INPUTS),
    ("mogrifier_lstm", {"rounds": 0}, INPUTS),
    ("rlstm", {}, INPUTS),
    ("rlstm", {"rounds": 5}, INPUTS),
    ("rlstm", {"rounds": 2, "rank": 2}, INPUTS),
    ("qrnn", {}, INPUTS),
    ("qrnn", {"pooling": "ifo", "window_size": 1}, INPUTS),
    ("sru", {}, INPUTS),
    ("sru", {"highway_bias": -1.0}, UNITS),
    ("min_gru", {}, INPUTS),
    ("min_gru", {"candidate": "linear"}, INPUTS),
    ("min_lstm", {}, INPUTS),
    ("min_lstm", {"candidate": "linear"}, INPUTS),
    ("slstm", {}, INPUTS),
    ("slstm", {"heads": 2, "forget": "exp"}, INPUTS),
    ("mlstm", {"heads": 1}, INPUTS),
    ("mlstm", {"heads": 2, "forget": "exp", "norm": False}, INPUTS),
    ("rg_lru", {}, INPUTS),
    ("rg_lru", {"convolution": 1}, INPUTS),
    ("lru", {}, INPUTS),
    ("lru", {"modes": 3}, INPUTS),
]


# Compiling for JAX takes a second each; the first case of each cell is always run.
SELDOM = [pytest.mark.slow] if keras.backend.backend() == "jax" else []
FIRST = {name: case for case in reversed(CASES) for name in case[:1]}
CHECKED = ("mogrifier_lstm", "rlstm", "qrnn", "slstm")


def case_name(case: Any) -> str:
    return "-".join(map(str, case.values())) if isinstance(case, dict) else str(case)


def made(
    name: str, options: dict[str, Any], inputs: int, units: int = UNITS
) -> CellLayer:
    """A layer with weights that all show in the results."""
    layer = CellLayer(
        name, units, options, return_sequences=True, return_state=True, seed=3
    )
    layer.build((None, None, inputs))
    rng = np.random.default_rng(4)
    for variable in layer.trainable_variables:
        noise = 0.3 * rng.standard_normal(variable.shape)
        variable.assign(ops.convert_to_numpy(variable) + noise.astype("float32"))
    return layer


def some_state(layer: CellLayer, batch: int = BATCH) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [
        (0.5 * rng.standard_normal((batch, *shape))).astype("float32")
        for shape in layer.state_shapes
    ]


def some_inputs(steps: int, inputs: int, batch: int = BATCH) -> np.ndarray:
    rng = np.random.default_rng(6)
    return rng.standard_normal((batch, steps, inputs)).astype("float32")


@pytest.mark.parametrize("name", OWN)
def test_gates_that_are_shut_or_open_for_good_have_gradients(name: str) -> None:
    """Inputs so large that no gate is between: from a zero state, as texts begin."""
    layer = made(name, {"heads": 2} if name == "mlstm" else {}, INPUTS)
    sizes = np.array([10.0, 30.0, 100.0, 300.0, 1e3, 1e4], "float32")
    x = sizes[:, None, None] * some_inputs(6, INPUTS, batch=len(sizes))
    got = call_with_gradients(layer, layer, [x])
    names = ["x", *layer.named]
    found = zip(names, [*got.inputs, *got.weights], strict=True)
    assert [name for name, g in found if not np.isfinite(g).all()] == []
    assert all(np.isfinite(output).all() for output in got.outputs)


def test_every_cell_of_the_package_is_tested() -> None:
    assert {name for name, _, _ in CASES} == set(OWN)


@pytest.mark.parametrize(
    ("name", "options", "inputs"),
    [
        pytest.param(*case, marks=[] if FIRST[case[0]] is case else SELDOM)
        for case in CASES
    ],
    ids=case_name,
)
def test_equals_the_equations(name: str, options: dict[str, Any], inputs: int) -> None:
    """Outputs, states and all gradients, from a state that is not zero."""
    layer = made(name, options, inputs)
    x, state = some_inputs(STEPS, inputs), some_state(layer)
    if name == "slstm":
        state[2] = np.abs(state[2]) + 0.5  # a sum of exponentials is positive
    got = call_with_gradients(
        layer,
        lambda x, *state: layer(x, initial_state=list(state)),
        [x, *state],
    )
    names = list(layer.named)
    weights = [
        np.asarray(ops.convert_to_numpy(layer.named[n]), "float64") for n in names
    ]
    arrays = [x.astype("float64"), *(s.astype("float64") for s in state), *weights]
    function = getattr(references, name)
    count = 1 + len(state)

    def outputs(arrays: list[np.ndarray]) -> list[np.ndarray]:
        named = dict(zip(names, arrays[count:], strict=True))
        return references.run(
            function, arrays[0], arrays[1:count], named, layer.cell.window, **options
        )

    expected = outputs([a.astype(complex) for a in arrays])
    for g, e in zip(got.outputs, expected, strict=True):
        np.testing.assert_allclose(g, e.real, rtol=2e-5, atol=3e-6)

    rng = np.random.default_rng(0)
    mixture = [rng.standard_normal(e.shape) for e in expected]

    def combined(arrays: list[np.ndarray]) -> complex:
        parts = zip(outputs(arrays), mixture, strict=True)
        return sum((o * m).sum() for o, m in parts)

    gradients = reference.derivatives(combined, arrays)
    found = [*got.inputs, *got.weights]
    for g, e in zip(found, gradients, strict=True):
        np.testing.assert_allclose(g, e, rtol=2e-4, atol=3e-5)


@pytest.mark.parametrize("name", [*CHECKED, "min_gru", "lru"])
def test_passes_the_check_that_others_cells_go_through(name: str) -> None:
    """One of each kind: what it looks at, `test_equals_the_equations` does for all."""
    check_cell(cell_registry.make(name, None), inputs=(8,))


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in CHECKED else SELDOM) for n in OWN],
)
def test_16_bit_products_cost_little_precision(name: str) -> None:
    exact = made(name, {"heads": 2} if name == "mlstm" else {}, 8, units=8)
    config = {**exact.get_config(), "dtype": "mixed_bfloat16"}
    coarse = CellLayer.from_config(config)
    coarse.build((None, None, 8))
    coarse.set_weights(exact.get_weights())
    x = some_inputs(12, 8)
    found = [
        compiled(layer, lambda x, layer=layer: layer(x))(x) for layer in (exact, coarse)
    ]
    (whole, *state), (near, *near_state) = found
    assert keras.backend.standardize_dtype(near.dtype) == "bfloat16"
    for e, g in zip([whole, *state], [near, *near_state], strict=True):
        e, g = (ops.convert_to_numpy(ops.cast(a, "float32")) for a in (e, g))
        # In the mean: a norm makes much of the rounding of a head near zero.
        assert np.abs(e - g).mean() < 0.01 * max(1.0, np.abs(e).max())
    for g in near_state:
        assert keras.backend.standardize_dtype(g.dtype) == "float32"


@pytest.mark.parametrize("name", ["qrnn"])
def test_is_a_layer(name: str) -> None:
    layer = CellLayer(name, UNITS, return_sequences=True, seed=1, weight_dropout=0.2)
    count = len(layer.cell.weights(INPUTS, UNITS))
    check_layer(
        layer,
        some_inputs(4, INPUTS, batch=8),
        output_shape=(8, 4, UNITS),
        output_dtype="bfloat16",
        weights=count,
        masks=False,
    )


@pytest.mark.parametrize("name", ["slstm", "min_gru"])
def test_weight_dropout_falls_on_something(name: str) -> None:
    layer = CellLayer(name, UNITS, weight_dropout=0.5, seed=2)
    x = some_inputs(4, INPUTS)
    # Once more, since at the first step there is nothing recurrent to drop.
    kept, dropped = (ops.convert_to_numpy(layer(x, training=t)) for t in (False, True))
    assert np.abs(kept - dropped).max() > 1e-3


@pytest.mark.parametrize("name", ["min_lstm", "rg_lru", "mlstm"])
def test_parallel_form_stays_finite_and_equal_for_long_sequences(name: str) -> None:
    """Gates near 0 and 1 over hundreds of steps: products of gates would vanish."""
    # The norm would make much of the rounding of a head that is next to zero.
    options = {"heads": 2, "norm": False} if name == "mlstm" else {}
    layer = CellLayer(
        name, UNITS, options, return_sequences=True, return_state=True, seed=1
    )
    layer.build((None, None, INPUTS))
    call = compiled(layer, lambda x, s: layer(x, initial_state=list(s)))
    x = 20.0 * some_inputs(260, INPUTS)
    state, pieces = layer.initial_state(BATCH), []
    whole, *last = call(x, state)
    for begin in range(0, 260, 20):
        output, *state = call(x[:, begin : begin + 20], tuple(state))
        pieces.append(ops.convert_to_numpy(output))
    whole = ops.convert_to_numpy(whole)
    assert np.isfinite(whole).all()
    # mLSTM's outputs are quotients, its states the sums that they are made of.
    slack = 2e-4 if name == "mlstm" else 2e-5
    scale = np.abs(whole).max()
    np.testing.assert_allclose(np.concatenate(pieces, 1), whole, atol=slack * scale)
    for s, e in zip(state, last, strict=True):
        e = ops.convert_to_numpy(e)
        scale = np.abs(e).max()
        np.testing.assert_allclose(ops.convert_to_numpy(s), e, atol=1e-6 * scale)


@pytest.mark.parametrize("rounds", [0, 2])
def test_the_cell_of_rlstm_stays_within_one(rounds: int) -> None:
    """From the edge, with gates that are often next to 0 or 1."""
    layer = made("rlstm", {"rounds": rounds}, INPUTS)
    for variable in layer.trainable_variables:
        variable.assign(5.0 * ops.convert_to_numpy(variable))
    call = compiled(layer, lambda x, s: layer(x, initial_state=list(s)))
    x, state = 5.0 * some_inputs(60, INPUTS, batch=20), layer.initial_state(20)
    state = (state[0], ops.ones_like(state[1]))
    cells = []
    for t in range(60):
        _, *state = call(x[:, t : t + 1], tuple(state))
        cells.append(np.abs(ops.convert_to_numpy(state[1])))
    assert np.max(cells) <= 1.0 + 1e-6


def test_weights_of_rlstm() -> None:
    """Without rounds none of theirs; D and H as documented; the forget gate is open."""
    matrices = 2 * INPUTS * UNITS + 5 * UNITS * UNITS
    gating = {
        "q1_left": (UNITS, 2),
        "q1_right": (2, INPUTS),
        "r2_left": (INPUTS, 2),
        "r2_right": (2, UNITS),
    }
    for options, expected in (
        ({}, {}),
        ({"rank": 2}, {}),
        ({"rounds": 2}, {"q1": (UNITS, INPUTS), "r2": (INPUTS, UNITS)}),
        ({"rounds": 2, "rank": 2}, gating),
    ):
        layer = CellLayer("rlstm", UNITS, options)
        layer.build((None, None, INPUTS))
        names = list(layer.named)
        rounds = {n: layer.named[n].shape for n in names[: names.index("kernel")]}
        assert rounds == expected
        count = sum(int(np.prod(shape)) for shape in expected.values())
        assert layer.count_params() == matrices + 4 * UNITS + count
        bias = ops.convert_to_numpy(layer.named["forget_bias"])
        np.testing.assert_array_equal(bias, np.ones(UNITS))
        dropped = {n for n, weight in layer.declared.items() if weight.dropped}
        assert dropped == {"recurrent_kernel", "output_kernel"}


def test_first_weights_follow_the_seed() -> None:
    first, second, other = (CellLayer("mgu", UNITS, seed=seed) for seed in (1, 1, 2))
    for layer in (first, second, other):
        layer.build((None, None, INPUTS))
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first.get_weights()[0] != other.get_weights()[0]).any()


def test_loop_is_the_best_for_the_cell() -> None:
    backend = keras.backend.backend()
    usual = {"jax": "jax-scan", "tensorflow": "tensorflow-loop", "torch": "ops-loop"}
    for name, on_jax in (("min_gru", "jax-linear"), ("mgu", "jax-scan")):
        layer = CellLayer(name, UNITS)
        layer(some_inputs(2, INPUTS))
        expected = on_jax if backend == "jax" else usual[backend]
        assert layer.loop == layer.planned_loop() == expected
    layer = CellLayer("mlstm", UNITS, {"heads": 1})
    layer(some_inputs(2, INPUTS))
    assert layer.loop == "chunks"


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("sru", {"highway_bias": "low"}, "takes a number; received 'low'"),
        ("sru", {"highway_bias": 1000.0}, "takes at most 80"),
        ("lru", {"fastest": None}, "takes a number; received None"),
        ("mlstm", {"norm": 2}, "takes one of True, False; received 2"),
        ("mogrifier_lstm", {"round": 2}, "no setting 'round'. Did you mean 'rounds'"),
        ("mogrifier_lstm", {"rounds": -1}, "whole number of at least 0"),
        ("mogrifier_lstm", {"rounds": 101}, "at least 0 and at most 100; received 101"),
        (
            "rlstm",
            {"rounds": -1},
            "of the cell rlstm takes a whole number of at least 0",
        ),
        ("rlstm", {"rank": 0}, "of the cell rlstm takes a whole number of at least 1"),
        ("qrnn", {"pooling": "fo2"}, "Did you mean 'fo'"),
        ("lru", {"slowest": 1.5}, "0 < fastest < slowest < 1"),
        ("lstm", {"heads": 2}, "The cell 'lstm' has no setting 'heads'"),
        ("mlstn", {}, "Did you mean 'mlstm'"),
        ("gru", {}, "have layers of their own"),
    ],
)
def test_says_what_is_wrong(name: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CellLayer(name, UNITS, options)
    assert says in str(caught.value)


def test_heads_divide_the_units() -> None:
    with pytest.raises(ConfigError, match="heads of at least two units"):
        CellLayer("mlstm", UNITS).build((None, None, INPUTS))
    with pytest.raises(ConfigError, match="divisor of units=4, received 3"):
        CellLayer("mlstm", UNITS, {"heads": 3}).build((None, None, INPUTS))


def test_first_biases_of_slstm_are_made_when_they_are_drawn() -> None:
    """Declaring weights is how a model folder's size is known before it is built."""
    many = cell_registry.make("slstm", {"heads": 10**6})
    tracemalloc.start()
    try:
        many.weights(8, 10**6)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 10**6  # bytes
    bias = cell_registry.make("slstm", {"heads": 2}).weights(3, UNITS)["bias"]
    drawn = bias.initial(np.random.default_rng(0), bias.shape)
    np.testing.assert_array_equal(drawn, [0, 0, 0, 0, 1, 1, 0, 0] * 2)


def test_widths_in_any_ratio() -> None:
    """Three parts of eight columns are as many as four of six."""
    check_cell(cell_registry.make("sru", None), units=6, inputs=(8,))


def test_a_state_of_another_cell_is_refused() -> None:
    layer = CellLayer("min_gru", UNITS)
    zeros = np.zeros((BATCH, UNITS), "float32")
    with pytest.raises(ValueError, match="Expected a state of 1 arrays"):
        layer(some_inputs(2, INPUTS), initial_state=[zeros, zeros])
