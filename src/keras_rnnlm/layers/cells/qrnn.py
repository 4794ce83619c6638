"""Quasi-recurrent network: convolutions for the gates, then pooling over time."""

from collections.abc import Mapping
from dataclasses import dataclass

from keras import ops

from keras_rnnlm.layers.cells.base import (
    Array,
    LinearCell,
    Weight,
    Weights,
    check_choice,
)
from keras_rnnlm.layers.cells.weights import dropped, matrix, vector
from keras_rnnlm.layers.kernels.products import product
from keras_rnnlm.layers.observed import gate


@dataclass(frozen=True)
class QRNN(LinearCell):
    """QRNN of Bradbury et al. (2017), "Quasi-Recurrent Neural Networks".

        z_t = tanh(W_z x_t + V_z x_(t-1) + b_z)
        f_t = sigmoid(W_f x_t + V_f x_(t-1) + b_f)
        o_t = sigmoid(W_o x_t + V_o x_(t-1) + b_o)
        i_t = sigmoid(W_i x_t + V_i x_(t-1) + b_i)
        c_t = f_t * c_(t-1) + (1 - f_t) * z_t        fo-pooling
        c_t = f_t * c_(t-1) + i_t * z_t              ifo-pooling
        h_t = o_t * c_t

    The terms with V are those of a window of two.

    Args:
        pooling: "fo" or "ifo".
        window_size: 1 or 2, inputs that the gates look at.
    """

    pooling: str = "fo"
    window_size: int = 2

    state_names = ("c",)

    def __post_init__(self) -> None:
        """Check the settings."""
        check_choice("qrnn", "pooling", self.pooling, ("fo", "ifo"))
        check_choice("qrnn", "window_size", self.window_size, (1, 2))

    @property
    def window(self) -> int:
        """How many earlier inputs `project` looks at."""
        return self.window_size - 1

    @property
    def _gates(self) -> int:
        return len(self.pooling) + 1

    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        """Gates in the order z, f, o, i; rows of the earlier input first."""
        return {
            "kernel": dropped(matrix(self.window_size * inputs, units, self._gates)),
            "bias": vector(self._gates * units),
        }

    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        """The cell c."""
        return ((units,),)

    def project(self, x: Array, w: Weights) -> Array:
        """All gates of all time steps in one product."""
        if self.window:
            x = ops.concatenate([x[:-1], x[1:]], axis=-1)
        return product(x, w.kernel) + w.bias

    def coefficients(self, x: Array, w: Weights) -> tuple[Array, Array]:
        """The gate f, and what is written."""
        z, f, *rest = ops.split(x, self._gates, axis=-1)
        forget = gate("forget", ops.sigmoid(f), holds=True)
        if self.pooling == "ifo":
            write = gate("input", ops.sigmoid(rest[1]))
        else:
            write = ops.sigmoid(-f)
        return forget, write * ops.tanh(z)

    def read(self, hidden: Array, x: Array, w: Weights) -> Array:
        """The output gate: h = o * c."""
        o = ops.split(x, self._gates, axis=-1)[2]
        return gate("output", ops.sigmoid(o)) * hidden
