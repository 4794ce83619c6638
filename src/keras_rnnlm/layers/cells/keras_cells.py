"""The cells that Keras has too: `layers.recurrent` runs them behind Keras's arguments.

Their weights are the three arrays of `keras.layers`: the input matrix (inputs, gates x
units), the recurrent matrix (units, gates x units) and the bias. The recurrent matrix
is multiplied in one or several blocks of its columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from keras_rnnlm.layers.cells.base import (
    Activation,
    Array,
    Cell,
    LoopWeights,
    State,
    Weight,
    Weights,
)
from keras_rnnlm.layers.cells.weights import matrix, vector
from keras_rnnlm.layers.observed import gate


@dataclass(frozen=True)
class KerasCell(Cell):
    """A cell with one recurrent matrix.

    Attributes:
        blocks: how many gates' columns of the recurrent matrix each product takes,
            in the order of the columns; the products are called `product0` and so on.
        states: number of state arrays, each (B, units); the first is the output.
    """

    blocks: ClassVar[tuple[int, ...]]
    states: ClassVar[int]
    emits_state = True

    @property
    def gates(self) -> int:
        """Number of gates, the width of the projected input in units."""
        return sum(self.blocks)

    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        """Declare the weights; see `Cell`. The recurrent matrix is cut into blocks."""
        declared = {"kernel": matrix(inputs, units, self.gates)}
        for k, block in enumerate(self.blocks):
            inner = matrix(units, units, block)._replace(inside=True, dropped=True)
            declared[f"product{k}"] = inner
        return {**declared, "bias": vector(self.gates * units)}

    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        """See `Cell`."""
        return ((units,),) * self.states


@dataclass(frozen=True)
class ElmanCell(KerasCell):
    """h' = act(W x + b + U h): the simple recurrent network of Elman (1990)."""

    activation: Activation

    blocks = (1,)
    states = 1
    state_names = ("h",)
    additive = True

    def step(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """One step; see `Cell`."""
        (h,) = state
        h = self.activation(x + w.product0(h))
        return h, (h,)


@dataclass(frozen=True)
class LSTMCell(KerasCell):
    """Long short-term memory with a forget gate.

    Hochreiter and Schmidhuber (1997), Gers, Schmidhuber and Cummins (2000); the
    order of the gates in the matrices is input, forget, candidate, output, as in
    Keras. The output gate looks at the previous hidden state, not at the new cell.
    """

    activation: Activation
    recurrent_activation: Activation

    blocks = (4,)
    states = 2
    state_names = ("h", "c")
    additive = True

    def step(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """One step; see `Cell`."""
        h, c = state
        i, f, g, o = ops.split(x + w.product0(h), 4, axis=-1)
        input_gate = gate("input", self.recurrent_activation(i))
        forget_gate = gate("forget", self.recurrent_activation(f), holds=True)
        output_gate = gate("output", self.recurrent_activation(o))
        c = forget_gate * c + input_gate * self.activation(g)
        h = output_gate * self.activation(c)
        return h, (h, c)


@dataclass(frozen=True)
class GRUCell(KerasCell):
    """Gated recurrent unit, reset gate applied after the recurrent product.

    Cho et al. (2014, version 1 of the paper): the form that cuDNN computes. Gates in
    the order update, reset, candidate, as in Keras.
    """

    activation: Activation
    recurrent_activation: Activation

    blocks = (3,)
    states = 1
    state_names = ("h",)

    def step(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """One step; see `Cell`."""
        (h,) = state
        x_z, x_r, x_h = ops.split(x, 3, axis=-1)
        u_z, u_r, u_h = ops.split(w.product0(h), 3, axis=-1)
        update = gate("update", self.recurrent_activation(x_z + u_z), holds=True)
        reset = gate("reset", self.recurrent_activation(x_r + u_r))
        candidate = self.activation(x_h + reset * u_h)
        h = candidate + update * (h - candidate)
        return h, (h,)


@dataclass(frozen=True)
class ResetBeforeGRUCell(KerasCell):
    """Gated recurrent unit, reset gate applied before the recurrent product.

    Cho et al. (2014, version 3 of the paper). The candidate needs a product of its
    own, since its operand depends on the reset gate.
    """

    activation: Activation
    recurrent_activation: Activation

    blocks = (2, 1)
    states = 1
    state_names = ("h",)

    def step(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """One step; see `Cell`."""
        (h,) = state
        x_z, x_r, x_h = ops.split(x, 3, axis=-1)
        u_z, u_r = ops.split(w.product0(h), 2, axis=-1)
        update = gate("update", self.recurrent_activation(x_z + u_z), holds=True)
        reset = gate("reset", self.recurrent_activation(x_r + u_r))
        candidate = self.activation(x_h + w.product1(reset * h))
        h = candidate + update * (h - candidate)
        return h, (h,)


def loop_weights(cell: KerasCell, kernel: Array, bias: Array | None) -> LoopWeights:
    """The blocks of a recurrent matrix and its bias by the names `step` knows."""
    matrices, biases, start = {}, {}, 0
    units = kernel.shape[0]
    for k, block in enumerate(cell.blocks):
        end = start + block * units
        matrices[f"product{k}"] = kernel[..., start:end]
        if bias is not None:
            biases[f"product{k}"] = bias[..., start:end]
        start = end
    return LoopWeights(matrices, biases, {})
