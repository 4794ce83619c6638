"""Mogrifier LSTM: input and state gate each other before the LSTM sees them."""

from collections.abc import Mapping
from dataclasses import dataclass

from keras import ops

from keras_rnnlm.layers.cells.base import (
    Array,
    Cell,
    State,
    Weight,
    Weights,
    check_count,
)
from keras_rnnlm.layers.cells.weights import blocks, matrix, recurrent, vector
from keras_rnnlm.layers.kernels.products import accumulator


@dataclass(frozen=True)
class MogrifierLSTM(Cell):
    """LSTM of Melis, Kocisky and Blunsom (2020), "Mogrifier LSTM".

    With x^(-1) = x_t and h^0 = h_(t-1), in `rounds` rounds i = 1, 2, ...

        x^i = 2 sigmoid(Q^i h^(i-1)) * x^(i-2)      for odd i
        h^i = 2 sigmoid(R^i x^(i-1)) * h^(i-2)      for even i

    and the last x and h go into an LSTM in the place of x_t and h_(t-1):

        i, f, g, o = W x + U h + b
        c_t = sigmoid(f) * c_(t-1) + sigmoid(i) * tanh(g)
        h_t = sigmoid(o) * tanh(c_t)

    Args:
        rounds: number of rounds; the paper's best had 5 or 6, none is an LSTM.
        rank: Q^i and R^i are products of two matrices with this many columns and rows;
            whole matrices if None.
    """

    rounds: int = 5
    rank: int | None = None

    emits_state = True

    def __post_init__(self) -> None:
        """Check the settings."""
        check_count("mogrifier_lstm", "rounds", self.rounds, least=0)
        if self.rank is not None:
            check_count("mogrifier_lstm", "rank", self.rank)

    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        """Gates in the order i, f, g, o; the forget gate's first bias is one."""
        declared = {}
        for i in range(1, self.rounds + 1):
            rows, columns = (units, inputs) if i % 2 else (inputs, units)
            name = f"q{i}" if i % 2 else f"r{i}"
            if self.rank is None:
                declared[name] = matrix(rows, columns)._replace(inside=True)
                continue
            left, right = matrix(rows, self.rank), matrix(self.rank, columns)
            declared[f"{name}_left"] = left._replace(inside=True)
            declared[f"{name}_right"] = right._replace(inside=True)
        return {
            **declared,
            "kernel": matrix(inputs, units, gates=4)._replace(inside=True),
            "recurrent_kernel": recurrent(units, units, gates=4),
            "bias": vector(4 * units, blocks(0.0, 1.0, 0.0, 0.0), inside=True),
        }

    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        """The hidden state h and the cell c."""
        return (units,), (units,)

    def project(self, x: Array, w: Weights) -> Array:
        """The inputs themselves: what gates them depends on the state."""
        return ops.cast(x, accumulator(ops.dtype(x)))

    def step(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """One step; see `Cell`."""
        h, c = state
        for i in range(1, self.rounds + 1):
            if i % 2:
                x = 2.0 * ops.sigmoid(self._times(w, f"q{i}", h)) * x
            else:
                h = 2.0 * ops.sigmoid(self._times(w, f"r{i}", x)) * h
        gates = w.kernel(x) + w.recurrent_kernel(h) + w.bias
        i_, f, g, o = ops.split(gates, 4, axis=-1)
        c = ops.sigmoid(f) * c + ops.sigmoid(i_) * ops.tanh(g)
        h = ops.sigmoid(o) * ops.tanh(c)
        return h, (h, c)

    def _times(self, w: Weights, name: str, v: Array) -> Array:
        if self.rank is None:
            return getattr(w, name)(v)
        return getattr(w, f"{name}_right")(getattr(w, f"{name}_left")(v))
