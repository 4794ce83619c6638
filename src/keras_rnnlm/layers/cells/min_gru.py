"""minGRU: a gated recurrent unit whose gate looks at the input alone."""

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
from keras_rnnlm.layers.observed import gate


@dataclass(frozen=True)
class MinGRU(LinearCell):
    """minGRU of Feng et al. (2024), "Were RNNs All We Needed?".

        z_t  = sigmoid(W_z x_t + b_z)
        h~_t = g(W_h x_t + b_h)
        h_t  = (1 - z_t) * h_(t-1) + z_t * h~_t

    with g(a) = a + 1/2 for a >= 0 and sigmoid(a) below, which is positive as the
    paper's log-space form needs it, or g(a) = a as in its section 3.1.

    Args:
        candidate: "positive" or "linear".
    """

    candidate: str = "positive"

    def __post_init__(self) -> None:
        """Check the setting."""
        check_choice("min_gru", "candidate", self.candidate, ("positive", "linear"))

    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        """Gates in the order z, h."""
        return {
            "kernel": dropped(matrix(inputs, units, gates=2)),
            "bias": vector(2 * units),
        }

    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        """The hidden state h."""
        return ((units,),)

    def coefficients(self, x: Array, w: Weights) -> tuple[Array, Array]:
        """1 - z and z * h~."""
        z, h = ops.split(x, 2, axis=-1)
        update = gate("update", ops.sigmoid(z), holds=False)
        # 1 - sigmoid(z), but exact where z is large.
        return ops.sigmoid(-z), update * candidate(self.candidate, h)


def candidate(kind: str, a: Array) -> Array:
    """The paper's g (its appendix B), or nothing."""
    if kind == "linear":
        return a
    return ops.where(a >= 0, a + 0.5, ops.sigmoid(a))
