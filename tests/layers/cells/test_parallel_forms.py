"""Cells with a parallel form: many steps in one call equal as many one by one.

The single steps are the cell's own `step` in the backend's plain loop, a call for each
step, with the state handed from call to call. Compared are outputs, last states, and
the gradient of a weighted sum of both by inputs, first state and weights.
"""

from functools import cache
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
from keras import ops

from keras_rnnlm import cell_registry
from keras_rnnlm.layers import CellLayer, ChunkedCell, LinearCell
from keras_rnnlm.layers.kernels import dispatch
from tests.layers.cells.test_cells import made, some_inputs, some_state
from tests.layers.gradients import Gradients, call_with_gradients

INPUTS, UNITS = 3, 8
PLAIN = {"jax": "jax-scan", "tensorflow": "tensorflow-loop", "torch": "ops-loop"}
LOOP = PLAIN[keras.backend.backend()]
# TensorFlow takes seconds to trace so many calls; a chunk of mLSTM has 32 steps.
STEPS = 70 if LOOP == "tensorflow-loop" else 260


class Slack(NamedTuple):
    """Largest differences in float32, as shares of the largest value, of 1 at least."""

    outputs: float = 1e-5
    states: float = 1e-5
    gradients: float = 1e-5


# mLSTM's outputs are quotients of sums that a chunk adds up in another order than the
# steps do. The divisor is a sum of terms of both signs: where they nearly cancel, the
# rounding of the terms is that many times as large a share of it, and twice so in its
# gradient, which has its square. The norm divides again, by a deviation that may be a
# hundredth of the values of a head. Its states are the sums themselves.
QUOTIENTS = Slack(outputs=1e-4, gradients=2e-4)
NORMED = Slack(outputs=3e-4, gradients=1e-3)

CASES: list[tuple[str, dict[str, Any], Slack]] = [
    ("qrnn", {}, Slack()),
    ("sru", {}, Slack()),
    ("min_gru", {}, Slack()),
    ("min_lstm", {}, Slack()),
    ("rg_lru", {}, Slack()),
    ("lru", {}, Slack()),
    ("mlstm", {"heads": 2, "norm": False}, QUOTIENTS),
    ("mlstm", {"heads": 2}, NORMED),
]


def forms(name: str, options: dict[str, Any]) -> list[str]:
    """The ways in which the layer of a cell computes `STEPS` steps, and single ones.

    On JAX a linear cell has the scan's two forms: what `jax_linear` takes on a CPU,
    and what it takes on other devices. That one has a cell here and is tested by
    itself in `test_jax_linear`; single calls have the one that keeps earlier inputs.
    `sru` and `lru` are run by the plain loop, with their products over all time steps
    at once.
    """
    cell = cell_registry.find(name)
    if issubclass(cell, LinearCell) and keras.backend.backend() == "jax":
        more = {"min_gru": "_associative", "qrnn": "single calls"}
        return ["_step_by_step", *([more[name]] if name in more else [])]
    if issubclass(cell, ChunkedCell) and "norm" in options:
        return ["one call", "single calls"]
    return ["one call"]


GRID = [(k, form) for k, case in enumerate(CASES) for form in forms(*case[:2])]


def case_name(value: Any) -> str:
    return value if isinstance(value, str) else f"{value}-{CASES[value][0]}"


def test_every_cell_with_a_parallel_form_is_here() -> None:
    parallel = {
        name
        for name in cell_registry.BUILT_IN
        if getattr(cell_registry.find(name), "parallel", False)
    }
    assert {name for name, _, _ in CASES} == parallel


@pytest.mark.parametrize(("case", "form"), GRID, ids=case_name)
def test_one_call_equals_single_steps(
    case: int, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = by_steps(case)
    layer, x, state = arguments(case)
    ran: set[bool] = set()
    if form.startswith("_"):
        from keras_rnnlm.layers.kernels import jax_linear

        scan = getattr(jax_linear, form)

        def forced(*arrays: Any, reverse: bool) -> Any:
            ran.add(reverse)
            return scan(*arrays, reverse)

        monkeypatch.setattr(jax_linear, "_scan", forced)

    def call(x: Any, *state: Any) -> Any:
        if form == "single calls":
            return in_steps(layer, x, state)
        return layer(x, initial_state=list(state))

    found = call_with_gradients(layer, call, [x, *state])
    assert layer.loop == loop_of(layer)
    assert ran == ({False, True} if form.startswith("_") else set())
    _, _, slack = CASES[case]
    compare("outputs", found.outputs[:1], expected.outputs[:1], slack.outputs)
    compare("states", found.outputs[1:], expected.outputs[1:], slack.states)
    names = ["inputs", *(f"state {k}" for k in range(len(state)))]
    compare("by", found.inputs, expected.inputs, slack.gradients, names)
    names = [variable.name for variable in layer.trainable_variables]
    compare("by", found.weights, expected.weights, slack.gradients, names)


def loop_of(layer: CellLayer) -> str:
    """The loop that the documentation says a cell runs in, however many steps."""
    if isinstance(layer.cell, ChunkedCell):
        return "chunks"
    linear = isinstance(layer.cell, LinearCell) and LOOP == "jax-scan"
    return "jax-linear" if linear else LOOP


def arguments(case: int) -> tuple[CellLayer, np.ndarray, list[np.ndarray]]:
    """A layer, its inputs and a first state: the same each time."""
    name, options, _ = CASES[case]
    layer = made(name, options, INPUTS, UNITS)
    return layer, some_inputs(STEPS, INPUTS), some_state(layer)


@cache
def by_steps(case: int) -> Gradients:
    """What the cell's own `step` gives."""
    layer, x, state = arguments(case)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "choose_any", lambda cell, steps: LOOP)
        found = call_with_gradients(
            layer, lambda x, *state: in_steps(layer, x, state), [x, *state]
        )
    assert layer.loop == LOOP
    return found


def in_steps(layer: CellLayer, x: Any, state: Any) -> list[Any]:
    """Outputs (B, T, units) and last state of a call for each step."""

    def step(state: Any, x_t: Any) -> tuple[Any, Any]:
        output, *after = layer(ops.expand_dims(x_t, 1), initial_state=list(state))
        return tuple(after), output[:, 0]

    last, rows = tuple(state), ops.transpose(x, (1, 0, 2))
    if keras.backend.backend() == "jax":
        import jax

        last, outputs = jax.lax.scan(step, last, rows)  # compiles the call once
    else:
        each = []
        for x_t in ops.unstack(rows):
            last, output = step(last, x_t)
            each.append(output)
        outputs = ops.stack(each)
    return [ops.transpose(outputs, (1, 0, 2)), *last]


def compare(
    what: str,
    found: list[np.ndarray],
    expected: list[np.ndarray],
    share: float,
    names: list[str] | None = None,
) -> None:
    named = names or [f"{k}" for k in range(len(expected))]
    for name, f, e in zip(named, found, expected, strict=True):
        assert np.isfinite(f).all() and f.shape == e.shape, f"{what} {name}"
        difference = np.abs(f - e).max() / max(1.0, np.abs(e).max())
        assert difference <= share, f"{what} {name}: they differ by {difference:.2g}"
