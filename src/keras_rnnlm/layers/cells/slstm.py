"""sLSTM of xLSTM: exponential gates, a normaliser, memory mixing within heads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers.cells.base import (
    Array,
    Cell,
    State,
    Weight,
    Weights,
    check_choice,
    check_count,
)
from keras_rnnlm.layers.cells.weights import matrix, orthogonal, vector
from keras_rnnlm.layers.observed import gate


@dataclass(frozen=True)
class SLSTM(Cell):
    """sLSTM of Beck et al. (2024), "xLSTM: Extended Long Short-Term Memory".

        z, i, f, o = W x_t + R h_(t-1) + b
        c_t = F_t c_(t-1) + I_t tanh(z)
        n_t = F_t n_(t-1) + I_t
        h_t = sigmoid(o) * c_t / n_t

    with I = exp(i) and F = sigmoid(f) or exp(f). c and n are kept divided by exp(m_t),
    m_t = max(log F + m_(t-1), i), which leaves h as it is and can't overflow (the
    paper's equations 15 to 17); m_1 = i behind a zero state. R is a matrix for each
    head.

    Args:
        heads: number of heads; they divide `units`.
        forget: "sigmoid" or "exp".
    """

    heads: int = 1
    forget: str = "sigmoid"

    emits_state = True
    state_names = ("h", "c", "n", "m")
    additive = True

    def __post_init__(self) -> None:
        """Check the settings."""
        check_count("slstm", "heads", self.heads)
        check_choice("slstm", "forget", self.forget, ("sigmoid", "exp"))

    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        """Gates in the order z, i, f, o within each head."""
        size = head_size("slstm", units, self.heads)
        return {
            "kernel": matrix(inputs, units, gates=4),
            "recurrent_kernel": Weight(
                (self.heads, size, 4 * size), orthogonal(4), inside=True, dropped=True
            ),
            "bias": vector(4 * units, self._first_bias),
        }

    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        """The arrays h, c, n and m."""
        return (units,), (units,), (units,), (units,)

    def step(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """One step; see `Cell`."""
        h, c, n, m = state
        z, i, f, o = self._gates(x + w.recurrent_kernel(h))
        # Behind a zero state nothing is kept: the first input alone sets the scale, or
        # one whose gate is shut would leave a normaliser of nearly nothing.
        keep = ops.where(n == 0, i, log_forget(self.forget, f) + m)
        m = ops.maximum(keep, i)
        keep, write = ops.exp(keep - m), gate("input", ops.exp(i - m))
        kept = keep * n
        c = keep * c + write * ops.tanh(z)
        n = kept + write
        # What stays of the mean c / n, which no exponential gate says by itself.
        gate("forget", kept / n, holds=True)
        h = gate("output", ops.sigmoid(o)) * c / n
        return h, (h, c, n, m)

    def _gates(self, gates: Array) -> list[Array]:
        """z, i, f, o (B, units) of (B, heads x 4 x size)."""
        units = gates.shape[-1] // 4
        parts = ops.reshape(gates, (-1, self.heads, 4, units // self.heads))
        return [ops.reshape(parts[:, :, k], (-1, units)) for k in range(4)]

    def _first_bias(
        self, generator: np.random.Generator, shape: tuple[int, ...]
    ) -> NDArray[Any]:
        """One for the forget gates, zero for the others, head by head."""
        size = shape[0] // (4 * self.heads)
        return np.tile(np.repeat([0.0, 0.0, 1.0, 0.0], size), self.heads)


def log_forget(kind: str, f: Array) -> Array:
    """The logarithm of the forget gate."""
    return f if kind == "exp" else -ops.softplus(-f)


def head_size(cell: str, units: int, heads: int) -> int:
    """Units of a head.

    Raises:
        ConfigError: `heads` does not divide `units`.
    """
    if units % heads:
        raise ConfigError(
            f"Setting 'heads' of the cell {cell} expected a divisor of units={units}, "
            f"received {heads}."
        )
    return units // heads
