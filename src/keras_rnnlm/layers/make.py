"""Recurrent layers by the name of their cell, and what one needs to know of them.

Keras's three cells have drop-in layers with Keras's arguments; all others run in
`CellLayer`. Here is what the two kinds have in common.
"""

import math
from collections.abc import Mapping
from typing import Any

from keras import ops

from keras_rnnlm import cell_registry
from keras_rnnlm.layers.cell_layer import CellLayer, state_shapes
from keras_rnnlm.layers.cells import State
from keras_rnnlm.layers.recurrent import GRU, LSTM, SimpleRNN

# Gates, and arrays of state.
_KERAS: dict[Any, tuple[int, int]] = {
    SimpleRNN: (1, 1),
    LSTM: (4, 2),
    GRU: (3, 1),
}


def make_layer(
    cell: str, arguments: Mapping[str, Any] | None, units: int, **options: Any
) -> Any:
    """Return a recurrent layer.

    Args:
        cell: name of a cell, see `cell_registry.names`.
        arguments: settings of the cell.
        units: width of the output.
        **options: `return_sequences`, `return_state`, `weight_dropout`, `low_rank`,
            `seed` and those of `keras.layers.Layer`.

    Raises:
        ConfigError: unknown cell or setting, or a value it refuses.
    """
    made = cell_registry.make(cell, arguments)
    if made in _KERAS:
        return made(units, **(arguments or {}), **options)
    return CellLayer(made, units, **options)


def initial_state(layer: Any, batch_size: Any) -> State:
    """The zero state of a built recurrent layer, in float32."""
    if isinstance(layer, CellLayer):
        shapes = layer.state_shapes
    else:
        shapes = ((layer.units,),) * _KERAS[type(layer)][1]
    return tuple(ops.zeros((batch_size, *shape), "float32") for shape in shapes)


def layer_weights(layer: Any) -> dict[str, Any]:
    """The variables of a built recurrent layer by name, in fixed order."""
    if isinstance(layer, CellLayer):
        return {**layer.named, **layer.factors.weights()}
    cell = layer.cell
    return {
        "kernel": cell.kernel,
        "recurrent_kernel": cell.recurrent_kernel,
        "bias": cell.bias,
        **layer.factors.weights(),
    }


def parameters(
    cell: str, arguments: Mapping[str, Any] | None, inputs: int, units: int
) -> int:
    """The number of weights of a layer, computed without making it."""
    made = cell_registry.make(cell, arguments)
    if made in _KERAS:
        gates, _ = _KERAS[made]
        return gates * units * (inputs + units + _biases(made, arguments))
    return sum(math.prod(w.shape) for w in made.weights(inputs, units).values())


def state_size(
    cell: str, arguments: Mapping[str, Any] | None, inputs: int, units: int
) -> int:
    """How many numbers the state of one row of a layer has."""
    made = cell_registry.make(cell, arguments)
    if made in _KERAS:
        return _KERAS[made][1] * units
    return sum(math.prod(s) for s in state_shapes(made, inputs, units))


def _biases(layer: Any, arguments: Mapping[str, Any] | None) -> int:
    """How many biases each gate of a Keras layer has.

    Two where the GRU resets what the recurrent product gives, its bias included.
    """
    given = {**layer.cell_settings, **(arguments or {})}
    return 2 if given.get("reset_after") else 1
