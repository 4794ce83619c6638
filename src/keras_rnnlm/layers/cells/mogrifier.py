"""Rounds in which an input and a state gate each other, for any cell behind them.

Melis, Kocisky and Blunsom (2020), "Mogrifier LSTM". With x^(-1) = x_t and
h^0 = h_(t-1), in rounds i = 1, 2, ...

    x^i = 2 sigmoid(Q^i h^(i-1)) * x^(i-2)      for odd i
    h^i = 2 sigmoid(R^i x^(i-1)) * h^(i-2)      for even i

and the last x and h go into a cell in the place of x_t and h_(t-1).
"""

from dataclasses import dataclass

from keras import ops

from keras_rnnlm.layers.cells.base import Array, Weight, Weights, check_count
from keras_rnnlm.layers.cells.weights import matrix
from keras_rnnlm.layers.kernels.products import accumulator

MOST_ROUNDS = 100


@dataclass(frozen=True)
class Mogrifier:
    """The rounds before a cell.

    Args:
        cell: the cell's name, for errors.
        rounds: number of rounds, up to 100.
        rank: Q^i and R^i are products of two matrices with this many columns and rows;
            whole matrices if None.
    """

    cell: str
    rounds: int
    rank: int | None

    def check(self) -> None:
        """Raise `ConfigError` unless the settings are numbers that they may be."""
        # Each has weights of its own: a model folder must not ask for any number.
        check_count(self.cell, "rounds", self.rounds, least=0, most=MOST_ROUNDS)
        if self.rank is not None:
            check_count(self.cell, "rank", self.rank)

    def weights(self, inputs: int, units: int) -> dict[str, Weight]:
        """Q and R of the rounds in their order, all for the loop."""
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
        return declared

    def project(self, x: Array) -> Array:
        """The inputs themselves: what gates them depends on the state."""
        return ops.cast(x, accumulator(ops.dtype(x)))

    def gate(self, x: Array, h: Array, w: Weights) -> tuple[Array, Array]:
        """The input (B, D) and the state (B, H) after the rounds."""
        for i in range(1, self.rounds + 1):
            if i % 2:
                x = 2.0 * ops.sigmoid(self._times(w, f"q{i}", h)) * x
            else:
                h = 2.0 * ops.sigmoid(self._times(w, f"r{i}", x)) * h
        return x, h

    def _times(self, w: Weights, name: str, v: Array) -> Array:
        if self.rank is None:
            return getattr(w, name)(v)
        return getattr(w, f"{name}_right")(getattr(w, f"{name}_left")(v))
