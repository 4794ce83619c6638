"""minLSTM: an LSTM whose gates look at the input alone and sum to one."""

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
from keras_rnnlm.layers.cells.min_gru import candidate
from keras_rnnlm.layers.cells.weights import dropped, matrix, vector
from keras_rnnlm.layers.observed import gate


@dataclass(frozen=True)
class MinLSTM(LinearCell):
    """minLSTM of Feng et al. (2024), "Were RNNs All We Needed?".

        f_t  = sigmoid(W_f x_t + b_f)      f'_t = f_t / (f_t + i_t)
        i_t  = sigmoid(W_i x_t + b_i)      i'_t = i_t / (f_t + i_t)
        h~_t = g(W_h x_t + b_h)
        h_t  = f'_t * h_(t-1) + i'_t * h~_t

    with g as in `MinGRU`.

    Args:
        candidate: "positive" or "linear".
    """

    candidate: str = "positive"

    def __post_init__(self) -> None:
        """Check the setting."""
        check_choice("min_lstm", "candidate", self.candidate, ("positive", "linear"))

    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        """Gates in the order f, i, h."""
        return {
            "kernel": dropped(matrix(inputs, units, gates=3)),
            "bias": vector(3 * units),
        }

    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        """The hidden state h."""
        return ((units,),)

    def coefficients(self, x: Array, w: Weights) -> tuple[Array, Array]:
        """The gate f' and i' * h~."""
        f, i, h = ops.split(x, 3, axis=-1)
        # log i - log f, since both may vanish: f' = 1 / (1 + i / f).
        ratio = ops.softplus(-f) - ops.softplus(-i)
        forget = gate("forget", ops.sigmoid(-ratio), holds=True)
        write = gate("input", ops.sigmoid(ratio))
        return forget, write * candidate(self.candidate, h)
