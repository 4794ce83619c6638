"""LSTM whose sums are normalised before the gates."""

from collections.abc import Mapping
from dataclasses import dataclass

from keras import ops

from keras_rnnlm.layers.cells.base import Array, Cell, State, Weight, Weights
from keras_rnnlm.layers.cells.weights import blocks, matrix, recurrent, vector
from keras_rnnlm.layers.kernels.products import product
from keras_rnnlm.layers.observed import gate

EPSILON = 1e-5
"""Added to the variance, so that a vector of equal numbers has a norm."""


@dataclass(frozen=True)
class LayerNormLSTM(Cell):
    """Layer-normalised LSTM (Ba, Kiros and Hinton 2016, equations 20 to 22).

        i, f, g, o = LN(W x_t; a_x) + LN(U h_(t-1); a_h) + b
        c_t = sigmoid(f) * c_(t-1) + sigmoid(i) * tanh(g)
        h_t = sigmoid(o) * tanh(LN(c_t; a_c) + b_c)

        LN(v; a) = a * (v - mean(v)) / sqrt(var(v) + 1e-5)

    Mean and variance are those of one vector: of all four gates together in the first
    line. The biases that the paper gives the first two are one here, b.
    """

    emits_state = True
    state_names = ("h", "c")

    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        """Gates in the order i, f, g, o; the forget gate's first bias is one."""
        return {
            "kernel": matrix(inputs, units, gates=4),
            "recurrent_kernel": recurrent(units, units, gates=4),
            "input_gain": vector(4 * units, 1.0),
            "recurrent_gain": vector(4 * units, 1.0, inside=True),
            "cell_gain": vector(units, 1.0, inside=True),
            "cell_bias": vector(units, inside=True),
            "bias": vector(4 * units, blocks(0.0, 1.0, 0.0, 0.0)),
        }

    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        """The hidden state h and the cell c."""
        return (units,), (units,)

    def project(self, x: Array, w: Weights) -> Array:
        """LN(W x; a_x) + b."""
        return w.input_gain * normalised(product(x, w.kernel)) + w.bias

    def step(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """One step; see `Cell`."""
        h, c = state
        gates = x + w.recurrent_gain * normalised(w.recurrent_kernel(h))
        i, f, g, o = ops.split(gates, 4, axis=-1)
        forget = gate("forget", ops.sigmoid(f), holds=True)
        write = gate("input", ops.sigmoid(i))
        c = forget * c + write * ops.tanh(g)
        normal = w.cell_gain * normalised(c) + w.cell_bias
        h = gate("output", ops.sigmoid(o)) * ops.tanh(normal)
        return h, (h, c)


def normalised(v: Array) -> Array:
    """LN of the last axis, with a gain of one."""
    centred = v - ops.mean(v, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
    return centred * ops.rsqrt(variance + EPSILON)
