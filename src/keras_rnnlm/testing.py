"""Tests for a cell of one's own: `check_cell` finds what is wrong with it.

from keras_rnnlm.testing import check_cell

def test_my_cell():
    check_cell(MyCell())
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm import cell_registry
from keras_rnnlm.layers.cell_layer import CellLayer
from keras_rnnlm.layers.cells import Cell
from keras_rnnlm.models.compiled import compiled

Floats = NDArray[np.float32]

_BATCH, _STEPS = 3, 6
# A wrong gradient is wrong along every direction; a kink lies on few.
_DIRECTIONS = 3


class CellError(AssertionError):
    """A cell is not what the contract says; the message tells where."""


def check_cell(
    cell: Cell,
    units: int = 8,
    inputs: Sequence[int] = (5, 8),
    seed: int = 0,
    tolerance: float = 1e-5,
) -> None:
    """Check a cell by running it on the active backend.

    Checked are: the declared weights and states and the shapes that come out; that
    outputs and state are finite; that a sequence in one call, in pieces and step by
    step gives the same, so that the state holds all that is carried and a parallel form
    equals its steps; that no output depends on a later input, and none on another row
    of the batch; the gradient by every weight, the inputs and the state against finite
    differences; for a registered cell the way to its configuration and back.

    Args:
        cell: the cell, not its class.
        units: width of the output.
        inputs: widths of the input to try.
        seed: of weights and inputs.
        tolerance: largest difference between two forms of the same computation, as a
            share of the largest value.

    Raises:
        CellError: naming the first thing that is wrong.
    """
    if isinstance(cell, type) or not isinstance(cell, Cell):
        raise CellError(
            f"Expected an object of a class derived from keras_rnnlm.layers.Cell, "
            f"received {cell!r}."
        )
    for width in inputs:
        _Check(cell, width, units, seed, tolerance).run()
    _check_configuration(cell)


class _Check:
    """The checks of a cell for one width of the input."""

    def __init__(
        self, cell: Cell, inputs: int, units: int, seed: int, tolerance: float
    ) -> None:
        self.cell, self.inputs, self.units = cell, inputs, units
        self.tolerance = tolerance
        self.rng = np.random.default_rng(seed)
        self.layer = CellLayer(
            cell, units, return_sequences=True, return_state=True, seed=seed
        )
        self.x = self.rng.standard_normal((_BATCH, _STEPS, inputs)).astype("float32")
        self._compiled: Callable[..., Any] | None = None

    def run(self) -> None:
        self._declarations()
        self.layer.build((None, None, self.inputs))
        # Away from zeros and ones, which hide what multiplies them.
        for variable in self.layer.trainable_variables:
            noise = 0.2 * self.rng.standard_normal(variable.shape)
            variable.assign(ops.convert_to_numpy(variable) + noise.astype("float32"))
        whole, state = self._call(self.x)
        self._shapes(whole, state)
        self._pieces(whole, state)
        self._steps(whole)
        self._causality(whole)
        self._gradients()

    def _fail(self, sentence: str) -> None:
        raise CellError(
            f"{type(self.cell).__name__} with inputs of width {self.inputs} and "
            f"{self.units} units: {sentence}"
        )

    def _call(
        self, x: Any, state: Sequence[Any] | None = None
    ) -> tuple[Floats, list[Floats]]:
        if self._compiled is None:
            self._compiled = compiled(
                self.layer,
                lambda x, state: self.layer(x, initial_state=list(state)),
            )
        given = self.layer.initial_state(_BATCH) if state is None else state
        output, *last = self._compiled(x, tuple(given))
        return ops.convert_to_numpy(output), [ops.convert_to_numpy(s) for s in last]

    def _same(self, a: Floats, b: Floats, what: str) -> None:
        difference = float(np.abs(a - b).max())
        if difference > self.tolerance * max(1.0, float(np.abs(b).max())):
            self._fail(f"{what}; they differ by {difference:.2g}.")

    def _declarations(self) -> None:
        again = dataclasses.replace(self.cell)
        if hash(again) != hash(self.cell) or again != self.cell:
            self._fail(
                "two cells with the same settings are not equal. Put "
                "@dataclass(frozen=True) above the class."
            )
        weights = self.cell.weights(self.inputs, self.units)
        if not weights:
            self._fail("it declares no weights.")
        for name, weight in weights.items():
            if not name.isidentifier():
                self._fail(f"the weight's name {name!r} is no Python name.")
            drawn = weight.initial(np.random.default_rng(0), weight.shape)
            if np.shape(drawn) != tuple(weight.shape):
                self._fail(
                    f"the weight '{name}' is declared with shape {weight.shape} and "
                    f"drawn with shape {np.shape(drawn)}."
                )

    def _shapes(self, output: Floats, state: list[Floats]) -> None:
        expected = (_BATCH, _STEPS, self.units)
        if output.shape != expected:
            self._fail(f"expected outputs {expected}, received {output.shape}.")
        for array, shape in zip(state, self.layer.state_shapes, strict=True):
            if array.shape != (_BATCH, *shape):
                self._fail(
                    f"expected a state of shape {(_BATCH, *shape)}, as declared; "
                    f"received {array.shape}."
                )
        if not all(np.isfinite(array).all() for array in (output, *state)):
            self._fail("outputs or state are not finite.")

    def _pieces(self, whole: Floats, last: list[Floats]) -> None:
        for size in (1, _STEPS - 2):
            state: Any = self.layer.initial_state(_BATCH)
            pieces = []
            for begin in range(0, _STEPS, size):
                piece, state = self._call(self.x[:, begin : begin + size], state)
                pieces.append(piece)
            what = (
                f"the sequence in one call and in pieces of {size} with the state "
                "carried give different"
            )
            self._same(np.concatenate(pieces, axis=1), whole, f"{what} outputs")
            for array, expected in zip(state, last, strict=True):
                self._same(array, expected, f"{what} states")

    def _steps(self, whole: Floats) -> None:
        """The plain loop over `step` against the loop that the layer took."""
        from keras_rnnlm.layers.kernels import ops_loop

        outside, weights = self.layer.weight_values(False, "float32")
        x = ops.transpose(ops.convert_to_tensor(self.x), (1, 0, 2))
        state = self.layer.initial_state(_BATCH)
        if self.cell.window:
            *rest, before = state
            state = tuple(rest)
            x = ops.concatenate([ops.transpose(before, (1, 0, 2)), x], axis=0)
        projected = self.cell.project(x, outside)
        hidden, _ = ops_loop.run(self.cell, "float32", projected, None, state, weights)
        output = ops.transpose(self.cell.read(hidden, projected, outside), (1, 0, 2))
        self._same(
            whole,
            ops.convert_to_numpy(output),
            f"the loop {self.layer.loop} and `step` by itself give different outputs",
        )

    def _causality(self, whole: Floats) -> None:
        for t in range(1, _STEPS):
            changed = self.x.copy()
            changed[:, t:] += 1.0
            output, _ = self._call(changed)
            self._same(
                output[:, :t], whole[:, :t], f"outputs before step {t} depend on it"
            )
        changed = self.x.copy()
        changed[0] += 1.0
        output, _ = self._call(changed)
        self._same(output[1:], whole[1:], "a row of the batch depends on another row")
        if np.abs(output[0] - whole[0]).max() == 0:
            self._fail("outputs do not depend on the inputs.")

    def _gradients(self) -> None:
        """Along random directions, one for each array at a time."""
        # A state as it occurs, which has all signs and sizes that a state may have.
        _, state = self._call(self.x)
        variables = self.layer.trainable_variables
        values = [np.array(ops.convert_to_numpy(v)) for v in variables]
        arrays = [self.x, *state]
        mixture = [
            self.rng.standard_normal((_BATCH, _STEPS, self.units)),
            *(self.rng.standard_normal(s.shape) for s in state),
        ]

        def loss(x: Any, *state: Any) -> Any:
            outputs = self.layer(x, initial_state=list(state))
            parts = zip(outputs, mixture, strict=True)
            return [ops.sum(o * ops.cast(m, "float32")) for o, m in parts]

        found = _gradient(self.layer, loss, arrays)
        names = [
            *self.layer.named,
            "inputs",
            *(f"state {k}" for k in range(len(state))),
        ]
        points = [*values, *arrays]

        def moved(k: int, direction: Floats, step: float) -> float:
            point = points[k] + np.float32(step) * direction
            if k >= len(values):
                j = k - len(values)
                now = [*arrays[:j], point, *arrays[j + 1 :]]
                return self._mixed(now, mixture)
            variables[k].assign(point)
            result = self._mixed(arrays, mixture)
            variables[k].assign(points[k])
            return result

        for k, name in enumerate(names):
            for attempt in range(_DIRECTIONS):
                direction = self.rng.standard_normal(points[k].shape).astype("float32")
                direction /= np.linalg.norm(direction)
                slope = float((found[k].astype("float64") * direction).sum())
                wide, narrow = (
                    (moved(k, direction, step) - moved(k, direction, -step))
                    / (2 * step)
                    for step in (4e-2, 2e-2)
                )
                # Richardson: the error of second order goes.
                expected = (4 * narrow - wide) / 3
                slack = 2e-3 + 0.02 * abs(expected) + abs(narrow - wide)
                if abs(slope - expected) <= slack:
                    break
                if attempt == _DIRECTIONS - 1:
                    self._fail(
                        f"the gradient by {name} is {slope:.5g} along a direction in "
                        f"which finite differences give {expected:.5g}."
                    )

    def _mixed(self, arrays: Sequence[Floats], mixture: Sequence[Any]) -> float:
        """The loss at some inputs and state, summed in float64."""
        output, state = self._call(arrays[0], arrays[1:])
        parts = zip([output, *state], mixture, strict=True)
        return float(sum((o.astype("float64") * m).sum() for o, m in parts))


def _check_configuration(cell: Cell) -> None:
    name = cell_registry.name_of(type(cell))
    if name is None:
        return
    layer = CellLayer(cell, 8)
    again = CellLayer.from_config(layer.get_config())
    if again.cell != cell:
        raise CellError(
            f"{type(cell).__name__} comes back from its configuration as {again.cell}, "
            f"expected {cell}. Settings are the fields of the dataclass."
        )


def _gradient(
    layer: CellLayer, loss: Callable[..., list[Any]], arrays: Sequence[Floats]
) -> list[NDArray[Any]]:
    """Gradients of the sum of `loss` by the layer's weights, then by `arrays`."""
    backend = keras.backend.backend()
    variables = layer.trainable_variables
    if backend == "jax":
        import jax

        def summed(weights: Any, tensors: Any) -> Any:
            mapping = list(zip(variables, weights, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return sum(loss(*tensors))

        start = [v.value for v in variables]
        tensors = [ops.convert_to_tensor(a) for a in arrays]
        by_weights, by_arrays = jax.grad(summed, argnums=(0, 1))(start, tensors)
        found = [*by_weights, *by_arrays]
    elif backend == "tensorflow":
        import tensorflow as tf

        tensors = [tf.convert_to_tensor(a) for a in arrays]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            result = sum(loss(*tensors))
        sources = [*(v.value for v in variables), *tensors]
        zero = tf.UnconnectedGradients.ZERO
        found = list(tape.gradient(result, sources, unconnected_gradients=zero))
    else:
        import torch

        tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
        sources = [*(v.value for v in variables), *tensors]
        total = sum(loss(*tensors))
        found = list(
            torch.autograd.grad(
                total, sources, allow_unused=True, materialize_grads=True
            )
        )
    return [np.asarray(ops.convert_to_numpy(g)) for g in found]
