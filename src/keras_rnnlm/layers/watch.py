"""A recurrent layer run step by step, so that its gates and states can be seen."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_rnnlm.layers.cells import Cell, LoopWeights, State
from keras_rnnlm.layers.kernels.ops_loop import inside
from keras_rnnlm.layers.observed import GATE, Told, listening

Array = Any


class Prepared(NamedTuple):
    """A layer's call, just before its loop over time.

    Attributes:
        cell: the equation.
        x: projected inputs (T, B, P).
        state: before the first step, without earlier inputs.
        weights: what the cell needs inside of the loop.
        read: the layer's output (T, B, units), from those of all steps.
        told: gates that the projection told.
    """

    cell: Cell
    x: Array
    state: State
    weights: LoopWeights
    read: Callable[[Array], Array]
    told: list[Told]


class Watched(NamedTuple):
    """What a layer did.

    Attributes:
        outputs: (T, B, units).
        held: gates whose value is the share of the state that stays, each (T, B, ...).
        replaced: gates whose value is the share that goes.
        other: the other gates.
        states: after each step, arrays (T, B, ...) in the order of the cell's state.
    """

    outputs: Array
    held: dict[str, Array]
    replaced: dict[str, Array]
    other: dict[str, Array]
    states: tuple[Array, ...]


def watch(layer: Any, sequences: Array, initial_state: State) -> Watched:
    """Run a built recurrent layer and return all its gates and states.

    The cell's own equations are run, one step at a time, whatever loop the layer would
    take. Gates are those that the equations name; a cell that names none has none.

    Args:
        layer: one that `layers.make.make_layer` made.
        sequences: (B, T, D), T known.
        initial_state: as for a call.
    """
    cell, x, state, weights, read, early = layer.prepare(sequences, initial_state)
    w = inside(weights, x.dtype)
    names: list[Told] = []

    def step(state: State, x_t: Array) -> tuple[State, Any]:
        with listening(GATE) as told:
            output, after = cell.step(x_t, state, w)
        names[:] = [each._replace(value=None) for each in told]
        return after, (output, after, tuple(each.value for each in told))

    hidden, states, values = _steps(step, state, x)
    with listening(GATE) as late:
        outputs = read(hidden)
    told = [*early, *late]
    told += [name._replace(value=v) for name, v in zip(names, values, strict=True)]
    steps = ops.shape(x)[0]
    by_role: dict[bool | None, dict[str, Array]] = {True: {}, False: {}, None: {}}
    for each in told:
        by_role[each.holds][each.name] = _rows(each.value, steps, x.shape[1])
    return Watched(outputs, by_role[True], by_role[False], by_role[None], states)


def _steps(
    step: Callable[[State, Array], tuple[State, Any]], state: State, x: Array
) -> Any:
    """What the steps of a sequence returned, stacked."""
    if keras.backend.backend() == "jax":
        return ops.scan(step, state, x)[1]
    # Keras's scan flattens nested results on the other backends.
    rows = []
    for i in range(x.shape[0]):
        state, row = step(state, x[i])
        rows.append(row)
    return keras.tree.map_structure(lambda *each: ops.stack(each), *rows)


def _rows(value: Array, steps: Any, rows: Any) -> Array:
    """A gate as (T, B, ...), where it may be the same for all rows."""
    if len(value.shape) == 3:
        return value
    return ops.broadcast_to(value[:, None, :], (steps, rows, value.shape[-1]))
