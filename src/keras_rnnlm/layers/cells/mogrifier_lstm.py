"""Mogrifier LSTM: input and state gate each other before the LSTM sees them."""

from collections.abc import Mapping
from dataclasses import dataclass

from keras import ops

from keras_rnnlm.layers.cells.base import Array, Cell, State, Weight, Weights
from keras_rnnlm.layers.cells.mogrifier import Mogrifier
from keras_rnnlm.layers.cells.weights import blocks, matrix, recurrent, vector
from keras_rnnlm.layers.observed import gate


@dataclass(frozen=True)
class MogrifierLSTM(Cell):
    """LSTM of Melis, Kocisky and Blunsom (2020), "Mogrifier LSTM".

    x and h are x_t and h_(t-1) after `rounds` rounds in which they gate each other (see
    `Mogrifier`); they go into an LSTM:

        i, f, g, o = W x + U h + b
        c_t = sigmoid(f) * c_(t-1) + sigmoid(i) * tanh(g)
        h_t = sigmoid(o) * tanh(c_t)

    Args:
        rounds: number of rounds; the paper's best had 5 or 6, none is an LSTM.
        rank: the matrices of the rounds are products of two matrices with this many
            columns and rows; whole matrices if None.
    """

    rounds: int = 5
    rank: int | None = None

    emits_state = True
    state_names = ("h", "c")

    def __post_init__(self) -> None:
        """Check the settings."""
        self._mogrifier.check()

    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        """Gates in the order i, f, g, o; the forget gate's first bias is one."""
        return {
            **self._mogrifier.weights(inputs, units),
            "kernel": matrix(inputs, units, gates=4)._replace(inside=True),
            "recurrent_kernel": recurrent(units, units, gates=4),
            "bias": vector(4 * units, blocks(0.0, 1.0, 0.0, 0.0), inside=True),
        }

    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        """The hidden state h and the cell c."""
        return (units,), (units,)

    def project(self, x: Array, w: Weights) -> Array:
        """The inputs themselves: what gates them depends on the state."""
        return self._mogrifier.project(x)

    def step(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """One step; see `Cell`."""
        h, c = state
        x, h = self._mogrifier.gate(x, h, w)
        gates = w.kernel(x) + w.recurrent_kernel(h) + w.bias
        i, f, g, o = ops.split(gates, 4, axis=-1)
        forget = gate("forget", ops.sigmoid(f), holds=True)
        write = gate("input", ops.sigmoid(i))
        c = forget * c + write * ops.tanh(g)
        h = gate("output", ops.sigmoid(o)) * ops.tanh(c)
        return h, (h, c)

    @property
    def _mogrifier(self) -> Mogrifier:
        return Mogrifier("mogrifier_lstm", self.rounds, self.rank)
