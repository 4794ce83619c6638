"""Rewired LSTM: what would be written decides what is forgotten."""

from collections.abc import Mapping
from dataclasses import dataclass

from keras import ops

from keras_rnnlm.layers.cells.base import Array, Cell, State, Weight, Weights
from keras_rnnlm.layers.cells.mogrifier import Mogrifier
from keras_rnnlm.layers.cells.weights import matrix, recurrent, vector
from keras_rnnlm.layers.observed import gate


@dataclass(frozen=True)
class RLSTM(Cell):
    """Rewired LSTM (Melis 2022, "Circling Back to Recurrent Models of Language").

    The forget gate sees the proposed update, the output gate sees the new cell alone,
    and what is written has no more room than what is forgotten leaves it:

        i = sigmoid(W_i x_t + U_i h_(t-1) + b_i)
        j = tanh(W_j x_t + U_j h_(t-1) + b_j)
        f = sigmoid(V_f (i * j) + U_f h_(t-1) + b_f)
        c_t = f * c_(t-1) + min(i, 1 - f) * j
        h_t = sigmoid(V_o c_t + b_o) * tanh(c_t)

    so that no element of c leaves [-1, 1]. With `rounds`, x_t and h_(t-1) gate each
    other first (see `Mogrifier`). Weight dropout falls on U and V_o, which read the
    state.

    Args:
        rounds: number of the Mogrifier's rounds; the paper's best models have them.
        rank: the matrices of the rounds are products of two matrices with this many
            columns and rows; whole matrices if None.
    """

    rounds: int = 0
    rank: int | None = None

    emits_state = True
    state_names = ("h", "c")

    def __post_init__(self) -> None:
        """Check the settings."""
        self._mogrifier.check()

    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        """Gates in the order i, j, f; the forget gate's first bias is one."""
        inside = self.rounds > 0
        return {
            **self._mogrifier.weights(inputs, units),
            "kernel": matrix(inputs, units, gates=2)._replace(inside=inside),
            "recurrent_kernel": recurrent(units, units, gates=3),
            "forget_kernel": matrix(units, units)._replace(inside=True),
            "output_kernel": recurrent(units, units),
            "bias": vector(2 * units, inside=inside),
            "forget_bias": vector(units, 1.0, inside=True),
            "output_bias": vector(units, inside=True),
        }

    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        """The hidden state h and the cell c."""
        return (units,), (units,)

    def project(self, x: Array, w: Weights) -> Array:
        """The input's part of i and j; with rounds the inputs themselves."""
        return self._mogrifier.project(x) if self.rounds else super().project(x, w)

    def step(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """One step; see `Cell`."""
        h, c = state
        if self.rounds:
            x, h = self._mogrifier.gate(x, h, w)
            x = w.kernel(x) + w.bias
        x_i, x_j = ops.split(x, 2, axis=-1)
        i, j, f = ops.split(w.recurrent_kernel(h), 3, axis=-1)
        write, candidate = gate("input", ops.sigmoid(x_i + i)), ops.tanh(x_j + j)
        update = write * candidate
        forget = ops.sigmoid(w.forget_kernel(update) + f + w.forget_bias)
        forget = gate("forget", forget, holds=True)
        c = forget * c + ops.minimum(write, 1.0 - forget) * candidate
        output = gate("output", ops.sigmoid(w.output_kernel(c) + w.output_bias))
        h = output * ops.tanh(c)
        return h, (h, c)

    @property
    def _mogrifier(self) -> Mogrifier:
        return Mogrifier("rlstm", self.rounds, self.rank)
