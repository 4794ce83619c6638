"""Minimal gated unit: a GRU with one gate."""

from collections.abc import Mapping
from dataclasses import dataclass

from keras import ops

from keras_rnnlm.layers.cells.base import Array, Cell, State, Weight, Weights
from keras_rnnlm.layers.cells.weights import blocks, matrix, recurrent, vector
from keras_rnnlm.layers.observed import gate


@dataclass(frozen=True)
class MinimalGatedUnit(Cell):
    """Minimal gated unit (Zhou et al. 2016).

    One gate both forgets and resets:

    f_t  = sigmoid(W_f x_t + U_f h_(t-1) + b_f)
    h~_t = tanh(W_h x_t + U_h (f_t * h_(t-1)) + b_h)
    h_t  = (1 - f_t) * h_(t-1) + f_t * h~_t
    """

    emits_state = True
    state_names = ("h",)

    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        """Gates in the order f, h; the gate's first bias is one."""
        return {
            "kernel": matrix(inputs, units, gates=2),
            "forget_kernel": recurrent(units, units),
            "candidate_kernel": recurrent(units, units),
            "bias": vector(2 * units, blocks(1.0, 0.0)),
        }

    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        """The hidden state h."""
        return ((units,),)

    def step(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """One step; see `Cell`."""
        (h,) = state
        x_f, x_h = ops.split(x, 2, axis=-1)
        f = gate("forget", ops.sigmoid(x_f + w.forget_kernel(h)), holds=False)
        candidate = ops.tanh(x_h + w.candidate_kernel(f * h))
        h = h + f * (candidate - h)
        return h, (h,)
