"""The layer that runs any cell of `layers.cells` over sequences."""

import dataclasses
import random
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rnnlm import cell_registry
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers.cells import Cell, LoopWeights, State, Weight
from keras_rnnlm.layers.kernels import dispatch
from keras_rnnlm.layers.kernels.products import accumulator
from keras_rnnlm.layers.low_rank import FixedMatrices, LowRank
from keras_rnnlm.layers.observed import GATE, listening
from keras_rnnlm.layers.regularizers import WeightDrop
from keras_rnnlm.layers.watch import Prepared

Array = Any


@keras.saving.register_keras_serializable("keras_rnnlm")
class CellLayer(FixedMatrices, keras.layers.Layer):
    """A recurrent layer of a cell: its weights, its state, the best loop for it.

    Args:
        cell: name of a registered cell, or a cell.
        units: width of the output.
        cell_arguments: settings of the cell, where it is given by name.
        return_sequences: whether to return the outputs of all time steps.
        return_state: whether to return the last state too.
        weight_dropout: fraction to drop, one mask a call, of the weights that the cell
            names for it: the recurrent matrices, or where it has none those that read
            the input (see `WeightDrop`).
        low_rank: rank of what is learnt beside the matrices, which then stay as they
            are (see `LowRank`); 0 trains the matrices.
        seed: of the first weights and of weight dropout; None draws one.
        **options: those of `keras.layers.Layer`.

    Call arguments:
        sequences: (B, T, D), any float type.
        initial_state: arrays (B, ...) of the shapes `state_shapes`; zeros if absent.
        training: whether weight dropout applies.

    Returns:
        (B, T, units), or (B, units) of the last step alone; with `return_state` a list
        of it and the arrays of the state after the last step, in float32 or better.

    Attributes:
        cell: the cell.
        loop: the loop that the last call took: "jax-scan", "jax-linear", "chunks",
            "tensorflow-loop" or "ops-loop".

    Raises:
        ConfigError: unknown cell or setting, or a rate out of range; when it is built,
            a rank too large for its matrices.
    """

    def __init__(
        self,
        cell: str | Cell,
        units: int,
        cell_arguments: dict[str, Any] | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        weight_dropout: float = 0.0,
        low_rank: int = 0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        """Make the layer; the arguments are those of the class."""
        # Casts for itself: a state must not become 16-bit on its way in.
        super().__init__(**options, autocast=False)
        if isinstance(cell, str):
            cell = cell_registry.make(cell, cell_arguments)
        if not isinstance(cell, Cell):
            raise ConfigError(
                "Expected a cell of keras_rnnlm.layers.cells or the name of one, "
                f"received {cell!r}. simple_rnn, lstm and gru have layers of their own."
            )
        self.cell = cell
        self.units = units
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.weight_dropout = weight_dropout
        self.low_rank = low_rank
        self.factors = LowRank(low_rank)
        self.seed = seed
        self._first = random.randrange(2**31) if seed is None else seed
        self.weight_drop = WeightDrop(weight_dropout, seed)
        # Keras's layer tracks generators among its attributes, not deeper.
        self.weight_seed_generator = self.weight_drop.seed_generator
        self.loop: str | None = None
        self.declared: dict[str, Weight] = {}
        self.named: dict[str, Any] = {}
        self._inputs = 0

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Create the weights for inputs (B, T, D)."""
        self._inputs = int(sequences_shape[-1])
        self.declared = dict(self.cell.weights(self._inputs, self.units))
        generator = np.random.default_rng(self._first)
        for name, weight in self.declared.items():
            values = weight.initial(generator, weight.shape)
            variable = self.add_weight(
                name=name, shape=weight.shape, initializer="zeros", autocast=False
            )
            variable.assign(values.astype("float32"))
            self.named[name] = variable
            if len(weight.shape) > 1:
                self.factors.add(self, name, variable, self.seed)
        self.factors.check()
        self.built = True

    @property
    def equation(self) -> Cell:
        """The cell."""
        return self.cell

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the state's arrays without the batch; the layer is built."""
        return state_shapes(self.cell, self._inputs, self.units)

    def initial_state(self, batch_size: Any) -> State:
        """The zero state of a batch."""
        wide = accumulator(self.compute_dtype)
        return tuple(ops.zeros((batch_size, *s), wide) for s in self.state_shapes)

    def planned_loop(self, steps: int | None = 1) -> str:
        """The loop that a call will take; `loop` says which one the last call took."""
        return dispatch.choose_any(self.cell, steps)

    def call(
        self, sequences: Array, initial_state: Any = None, training: bool = False
    ) -> Any:
        """See the class."""
        wide = accumulator(self.compute_dtype)
        x, state = self._arranged(sequences, initial_state, wide)
        outside, weights = self.weight_values(bool(training), wide)
        projected = self.cell.project(x, outside)
        self.loop = self.planned_loop(projected.shape[0])
        hidden, last = dispatch.run_any(
            self.loop, self.cell, self.compute_dtype, projected, state, weights
        )
        outputs = ops.cast(
            self.cell.read(hidden, projected, outside), self.compute_dtype
        )
        if self.cell.window:
            newest = ops.transpose(x[-self.cell.window :], (1, 0, 2))
            last = (*last, ops.cast(newest, wide))
        result = (
            ops.transpose(outputs, (1, 0, 2)) if self.return_sequences else outputs[-1]
        )
        return [result, *last] if self.return_state else result

    def prepare(self, sequences: Array, initial_state: State) -> Prepared:
        """A call outside training up to its loop over time; see `watch`."""
        wide = accumulator(self.compute_dtype)
        x, state = self._arranged(sequences, initial_state, wide)
        outside, weights = self.weight_values(False, wide)
        with listening(GATE) as told:
            projected = self.cell.project(x, outside)

        def read(hidden: Array) -> Array:
            return self.cell.read(hidden, projected, outside)

        return Prepared(self.cell, projected, state, weights, read, told)

    def _arranged(
        self, sequences: Array, initial_state: Any, wide: str
    ) -> tuple[Array, State]:
        """Inputs (window + T, B, D), and the state without the earlier ones."""
        x = ops.transpose(ops.cast(sequences, self.compute_dtype), (1, 0, 2))
        if initial_state is None:
            initial_state = self.initial_state(ops.shape(sequences)[0])
        state = tuple(ops.cast(s, wide) for s in initial_state)
        if len(state) != len(self.state_shapes):
            raise ValueError(
                f"Expected a state of {len(self.state_shapes)} arrays of shapes "
                f"(batch, ...) with ... = {self.state_shapes}, received {len(state)}. "
                "`initial_state(batch_size)` makes one."
            )
        if not self.cell.window:
            return x, state
        before = ops.transpose(ops.cast(state[-1], x.dtype), (1, 0, 2))
        return ops.concatenate([before, x], axis=0), state[:-1]

    def weight_values(
        self, training: bool, wide: str
    ) -> tuple[SimpleNamespace, LoopWeights]:
        """The weights for `project` and `read`, and those for the loop."""
        outside: dict[str, Array] = {}
        inside = LoopWeights({}, {}, {})
        for name, weight in self.declared.items():
            value = self.factors(name, ops.convert_to_tensor(self.named[name]))
            if weight.dropped:
                value = self.weight_drop(value, training)
            matrix = len(weight.shape) > 1
            # Operands of products have the layer's precision, all else is wide.
            value = ops.cast(value, self.compute_dtype if matrix else wide)
            if not weight.inside:
                outside[name] = value
            elif matrix:
                inside.matrices[name] = value
            else:
                inside.vectors[name] = value
        return SimpleNamespace(**outside), inside

    def compute_output_shape(
        self, sequences_shape: Any, initial_state_shape: Any = None
    ) -> Any:
        """Shapes of what a call returns."""
        batch, steps, inputs = sequences_shape
        shape = (
            (batch, steps, self.units) if self.return_sequences else (batch, self.units)
        )
        if not self.return_state:
            return shape
        shapes = state_shapes(self.cell, int(inputs), self.units)
        return [shape, *((batch, *s) for s in shapes)]

    def compute_output_spec(
        self, sequences: Any, initial_state: Any = None, training: bool = False
    ) -> Any:
        """See `keras.layers.Layer`."""
        shapes = self.compute_output_shape(tuple(sequences.shape))
        if not self.return_state:
            return keras.KerasTensor(shapes, self.compute_dtype)
        wide = accumulator(self.compute_dtype)
        first, *rest = shapes
        return [
            keras.KerasTensor(first, self.compute_dtype),
            *(keras.KerasTensor(shape, wide) for shape in rest),
        ]

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs.

        Raises:
            ConfigError: if the cell's class has no name by which to find it again.
        """
        name = cell_registry.name_of(type(self.cell))
        if name is None:
            raise ConfigError(
                f"The cell {type(self.cell).__name__} has no name to be saved by. "
                "Register it: keras_rnnlm.register_cell('its_name', its_class)."
            )
        return {
            **super().get_config(),
            "cell": name,
            "units": self.units,
            "cell_arguments": dataclasses.asdict(self.cell),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "weight_dropout": self.weight_dropout,
            "low_rank": self.low_rank,
            "seed": self.seed,
        }


def state_shapes(cell: Cell, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
    """Shapes of all arrays of a cell's state, earlier inputs included."""
    shapes = tuple(cell.state_shapes(inputs, units))
    return (*shapes, (cell.window, inputs)) if cell.window else shapes
