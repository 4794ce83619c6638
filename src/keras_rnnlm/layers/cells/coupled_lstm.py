"""LSTM with coupled gates: what is forgotten is what is written."""

from collections.abc import Mapping
from dataclasses import dataclass

from keras import ops

from keras_rnnlm.layers.cells.base import Array, Cell, State, Weight, Weights
from keras_rnnlm.layers.cells.weights import blocks, matrix, recurrent, vector
from keras_rnnlm.layers.observed import gate


@dataclass(frozen=True)
class CoupledLSTM(Cell):
    """LSTM with coupled input and forget gate (CIFG of Greff et al. 2017).

    What is not forgotten is written:

    f, g, o = W x_t + U h_(t-1) + b
    c_t = sigmoid(f) * c_(t-1) + (1 - sigmoid(f)) * tanh(g)
    h_t = sigmoid(o) * tanh(c_t)
    """

    emits_state = True
    state_names = ("h", "c")
    additive = True

    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        """Gates in the order f, g, o; the forget gate's first bias is one."""
        return {
            "kernel": matrix(inputs, units, gates=3),
            "recurrent_kernel": recurrent(units, units, gates=3),
            "bias": vector(3 * units, blocks(1.0, 0.0, 0.0)),
        }

    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        """The hidden state h and the cell c."""
        return (units,), (units,)

    def step(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """One step; see `Cell`."""
        h, c = state
        f, g, o = ops.split(x + w.recurrent_kernel(h), 3, axis=-1)
        candidate = ops.tanh(g)
        c = candidate + gate("forget", ops.sigmoid(f), holds=True) * (c - candidate)
        h = gate("output", ops.sigmoid(o)) * ops.tanh(c)
        return h, (h, c)
