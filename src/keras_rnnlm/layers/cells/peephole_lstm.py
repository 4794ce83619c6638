"""LSTM with peepholes: the gates see the cell."""

from collections.abc import Mapping
from dataclasses import dataclass

from keras import ops

from keras_rnnlm.layers.cells.base import Array, Cell, State, Weight, Weights
from keras_rnnlm.layers.cells.weights import blocks, matrix, recurrent, vector
from keras_rnnlm.layers.observed import gate


@dataclass(frozen=True)
class PeepholeLSTM(Cell):
    """LSTM with peephole connections (Gers, Schraudolph and Schmidhuber 2002).

    The output gate sees the new cell, the others the old one:

    i, f, g, o = W x_t + U h_(t-1) + b
    c_t = sigmoid(f + p_f * c_(t-1)) * c_(t-1)
          + sigmoid(i + p_i * c_(t-1)) * tanh(g)
    h_t = sigmoid(o + p_o * c_t) * tanh(c_t)
    """

    emits_state = True
    state_names = ("h", "c")
    additive = True

    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        """Gates in the order i, f, g, o; the forget gate's first bias is one."""
        return {
            "kernel": matrix(inputs, units, gates=4),
            "recurrent_kernel": recurrent(units, units, gates=4),
            "input_peephole": vector(units, inside=True),
            "forget_peephole": vector(units, inside=True),
            "output_peephole": vector(units, inside=True),
            "bias": vector(4 * units, blocks(0.0, 1.0, 0.0, 0.0)),
        }

    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        """The hidden state h and the cell c."""
        return (units,), (units,)

    def step(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """One step; see `Cell`."""
        h, c = state
        i, f, g, o = ops.split(x + w.recurrent_kernel(h), 4, axis=-1)
        forget = gate("forget", ops.sigmoid(f + w.forget_peephole * c), holds=True)
        write = gate("input", ops.sigmoid(i + w.input_peephole * c))
        c = forget * c + write * ops.tanh(g)
        output = gate("output", ops.sigmoid(o + w.output_peephole * c))
        h = output * ops.tanh(c)
        return h, (h, c)
