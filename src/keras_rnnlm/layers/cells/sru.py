"""Simple recurrent unit: all products outside of the loop, a highway around it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from keras import ops

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers.cells.base import (
    Array,
    Cell,
    State,
    Weight,
    Weights,
    check_number,
)
from keras_rnnlm.layers.cells.weights import dropped, glorot, matrix, uniform, vector
from keras_rnnlm.layers.kernels.products import product
from keras_rnnlm.layers.observed import gate

MOST_BIAS = 80.0
"""Its exponential is well within float32."""


@dataclass(frozen=True)
class SRU(Cell):
    """SRU of Lei et al. (2018), "Simple Recurrent Units for Highly Parallelizable...".

        f_t = sigmoid(W_f x_t + v_f * c_(t-1) + b_f)
        c_t = f_t * c_(t-1) + (1 - f_t) * (W x_t)
        r_t = sigmoid(W_r x_t + v_r * c_(t-1) + b_r)
        h_t = r_t * c_t + (1 - r_t) * alpha x_t

    alpha = sqrt(1 + 2 exp(b)) for initial biases b of the highway gate, as the paper
    scales it. Where input and output differ in width, x in the last line is W_x x.

    Args:
        highway_bias: first value of b_r, up to 80.
    """

    highway_bias: float = 0.0

    parallel = True
    state_names = ("c",)

    def __post_init__(self) -> None:
        """Check the setting."""
        check_number("sru", "highway_bias", self.highway_bias)
        if self.highway_bias > MOST_BIAS:
            raise ConfigError(
                f"Setting 'highway_bias' of the cell sru takes at most {MOST_BIAS:g}, "
                f"since alpha grows with its exponential; received {self.highway_bias}."
            )

    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        """Parts in the order W, W_f, W_r; W_x is a matrix of its own."""
        bound = (3.0 / units) ** 0.5
        straight = {}
        if inputs != units:
            straight["straight_kernel"] = dropped(
                matrix(inputs, units, 1, glorot(units))
            )
        return {
            "kernel": dropped(matrix(inputs, units, 3, glorot(units))),
            **straight,
            "forget_peephole": vector(units, uniform(-bound, bound), inside=True),
            "highway_peephole": vector(units, uniform(-bound, bound), inside=True),
            "forget_bias": vector(units, inside=True),
            "highway_bias": vector(units, self.highway_bias, inside=True),
        }

    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        """The cell c."""
        return ((units,),)

    def project(self, x: Array, w: Weights) -> Array:
        """W x, W_f x, W_r x and the highway's input, side by side."""
        parts = product(x, w.kernel)
        own = getattr(w, "straight_kernel", None)
        straight = ops.cast(x, parts.dtype) if own is None else product(x, own)
        return ops.concatenate([parts, straight], axis=-1)

    def step(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """One step; see `Cell`."""
        (before,) = state
        write, f, r, straight = ops.split(x, 4, axis=-1)
        f = ops.sigmoid(f + w.forget_peephole * before + w.forget_bias)
        r = ops.sigmoid(r + w.highway_peephole * before + w.highway_bias)
        f, r = gate("forget", f, holds=True), gate("highway", r)
        c = write + f * (before - write)
        alpha = (1.0 + 2.0 * math.exp(self.highway_bias)) ** 0.5
        straight = alpha * straight
        return straight + r * (c - straight), (c,)
