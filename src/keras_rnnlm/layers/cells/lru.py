"""A diagonal state-space layer: complex oscillators that decay, then a gate."""

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
    check_count,
    check_number,
)
from keras_rnnlm.layers.cells.weights import dropped, matrix, vector
from keras_rnnlm.layers.kernels.products import product
from keras_rnnlm.layers.observed import gate


@dataclass(frozen=True)
class LRU(Cell):
    """Linear recurrent unit (Orvieto et al. 2023), a diagonal state-space model.

        s_t = L s_(t-1) + g * (B x_t)                 complex, `modes` numbers
        y_t = Re(C s_t) + D x_t
        h_t = gelu(y_t) * sigmoid(W gelu(y_t) + b)

    L = exp(-exp(v) + i exp(u)) is stable for all v and u; g starts as sqrt(1 - |L|^2),
    with |L| in the middle of its range.
    The last line is the gate that S5 (Smith et al. 2023) puts behind such a layer:
    without it the layer would be linear.

    Args:
        modes: length of s; `units` if None.
        slowest: largest |L| at the start.
        fastest: smallest |L| at the start.
    """

    modes: int | None = None
    slowest: float = 0.999
    fastest: float = 0.9

    parallel = True
    emits_state = True
    state_names = ("s",)

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.modes is not None:
            check_count("lru", "modes", self.modes)
        check_number("lru", "slowest", self.slowest)
        check_number("lru", "fastest", self.fastest)
        if not 0.0 < self.fastest < self.slowest < 1.0:
            raise ConfigError(
                "Settings 'fastest' and 'slowest' of the cell lru expected "
                f"0 < fastest < slowest < 1, received {self.fastest} and "
                f"{self.slowest}."
            )

    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        """Real parts before imaginary ones."""
        modes = self.modes or units
        return {
            "decay": vector(modes, self._decay, inside=True),
            "frequency": vector(modes, _frequency, inside=True),
            "scale": vector(modes, (1 - self._middle**2) ** 0.5),
            "input_kernel": dropped(matrix(inputs, modes, gates=2)),
            "output_kernel": matrix(2 * modes, units),
            "skip_kernel": matrix(inputs, units),
            "gate_kernel": matrix(units, units),
            "gate_bias": vector(units),
        }

    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        """The real and the imaginary parts of s, one after another."""
        return ((2 * (self.modes or units),),)

    def project(self, x: Array, w: Weights) -> Array:
        """The products g * (B x), real and imaginary, and D x."""
        written = product(x, w.input_kernel) * ops.concatenate([w.scale, w.scale])
        return ops.concatenate([written, product(x, w.skip_kernel)], axis=-1)

    def step(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """One step; see `Cell`."""
        (s,) = state
        modes = w.decay.shape[0]
        real, imaginary = s[..., :modes], s[..., modes:]
        size, angle = ops.exp(-ops.exp(w.decay)), ops.exp(w.frequency)
        # The same for the real and the imaginary part.
        gate("held", ops.concatenate([size, size]), holds=True)
        cosine, sine = size * ops.cos(angle), size * ops.sin(angle)
        turned = ops.concatenate(
            [cosine * real - sine * imaginary, sine * real + cosine * imaginary],
            axis=-1,
        )
        s = turned + x[..., : 2 * modes]
        return s, (s,)

    def read(self, hidden: Array, x: Array, w: Weights) -> Array:
        """The output y, and its gate."""
        narrow = ops.dtype(w.output_kernel)
        y = product(ops.cast(hidden, narrow), w.output_kernel)
        y = ops.gelu(y + x[..., hidden.shape[-1] :], approximate=True)
        opened = product(ops.cast(y, narrow), w.gate_kernel) + w.gate_bias
        return y * gate("output", ops.sigmoid(opened))

    @property
    def _middle(self) -> float:
        return (self.slowest + self.fastest) / 2

    def _decay(
        self, generator: np.random.Generator, shape: tuple[int, ...]
    ) -> NDArray[Any]:
        """Values v for which |L| lies evenly over the area of a ring."""
        square = generator.uniform(self.fastest**2, self.slowest**2, shape)
        values: NDArray[Any] = np.log(-0.5 * np.log(square))
        return values


def _frequency(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    """Values u for which the angle lies between 0 and 2 pi."""
    values: NDArray[Any] = np.log(generator.uniform(1e-3, 2 * np.pi, shape))
    return values
