"""RG-LRU of Griffin: a gated linear recurrence behind a short convolution."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.layers.cells.base import (
    Array,
    LinearCell,
    Weight,
    Weights,
    check_count,
)
from keras_rnnlm.layers.cells.weights import dropped, matrix, vector
from keras_rnnlm.layers.kernels.products import product
from keras_rnnlm.layers.observed import gate

SHARPNESS = 8.0
"""The constant c of the paper."""
TINY = 1e-30
"""Least square of what scales an input."""


@dataclass(frozen=True)
class RGLRU(LinearCell):
    """Recurrent block with RG-LRU (De et al. 2024, "Griffin").

        x'_t = sum_(s < S) k_s * (W_x x_(t-s)) + b_k       a convolution, S steps long
        r_t  = sigmoid(W_r x'_t + b_r)
        i_t  = sigmoid(W_i x'_t + b_i)
        a_t  = a^(8 r_t),  a = sigmoid(lambda)
        h_t  = a_t * h_(t-1) + sqrt(1 - a_t^2) * (i_t * x'_t)
        y_t  = W_o (gelu(W_y x_t + b_y) * h_t)

    Args:
        convolution: S, steps that the convolution spans; the paper's 4. With 1 there
            is none but the factor k_0.
    """

    convolution: int = 4

    def __post_init__(self) -> None:
        """Check the setting."""
        check_count("rg_lru", "convolution", self.convolution)

    @property
    def window(self) -> int:
        """How many earlier inputs `project` looks at."""
        return self.convolution - 1

    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        """Gates in the order r, i; the convolution's newest step last."""
        return {
            "input_kernel": dropped(matrix(inputs, units)),
            "branch_kernel": dropped(matrix(inputs, units)),
            "branch_bias": vector(units),
            "convolution_kernel": Weight((self.convolution, units), _taps),
            "convolution_bias": vector(units),
            "gate_kernel": matrix(units, units, gates=2),
            "gate_bias": vector(2 * units),
            "decay": vector(units, _slow, inside=True),
            "output_kernel": matrix(units, units),
        }

    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        """The hidden state h."""
        return ((units,),)

    def project(self, x: Array, w: Weights) -> Array:
        """x', its gates r and i, and the branch beside it."""
        wide = product(x, w.input_kernel)
        taps = ops.cast(w.convolution_kernel, wide.dtype)
        convolved = w.convolution_bias
        for s in range(self.convolution):
            end = s - self.window
            convolved = convolved + taps[s] * wide[s : end if end else None]
        narrow = ops.cast(convolved, ops.dtype(x))
        gates = product(narrow, w.gate_kernel) + w.gate_bias
        branch = product(x[self.window :], w.branch_kernel) + w.branch_bias
        return ops.concatenate([convolved, gates, branch], axis=-1)

    def coefficients(self, x: Array, w: Weights) -> tuple[Array, Array]:
        """The factor a_t, and what is written."""
        convolved, r, i, _ = ops.split(x, 4, axis=-1)
        recurrence = gate("recurrence", ops.sigmoid(r))
        log_a = -SHARPNESS * recurrence * ops.softplus(-w.decay)
        # 1 - a^2 without the loss of digits where a is nearly one. Where the gate is
        # shut for good it is 0, of which the root has no slope.
        scale = ops.sqrt(ops.maximum(-ops.expm1(2.0 * log_a), TINY))
        held = gate("held", ops.exp(log_a), holds=True)
        return held, scale * gate("input", ops.sigmoid(i)) * convolved

    def read(self, hidden: Array, x: Array, w: Weights) -> Array:
        """The branch's gate, and the product after it."""
        branch = ops.gelu(ops.split(x, 4, axis=-1)[3], approximate=True)
        gated = ops.cast(branch * hidden, ops.dtype(w.output_kernel))
        return product(gated, w.output_kernel)


def _slow(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    """Values of lambda for which a^8 is even in 0.9 to 0.999, as in the paper."""
    log_a = np.log(generator.uniform(0.9, 0.999, shape)) / SHARPNESS
    values: NDArray[Any] = -np.log(np.expm1(-log_a))
    return values


def _taps(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    """Small at random, the newest step one."""
    taps = generator.uniform(-0.1, 0.1, shape)
    taps[-1] = 1.0
    return taps
