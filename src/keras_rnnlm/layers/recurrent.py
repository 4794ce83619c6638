"""Drop-in recurrent layers: `keras.layers.SimpleRNN`, `LSTM` and `GRU` with our loops.

Arguments, weights, states, masks and configuration are Keras's own, by inheritance;
only the loop over time is replaced. The few argument combinations that our kernels do
not cover run Keras's loop, and `layer.loop` says which loop the last call took.
"""

from types import MappingProxyType
from typing import Any

import keras
from keras import ops

from keras_rnnlm.layers import cells
from keras_rnnlm.layers.kernel_rnn import KernelRNN

Array = Any


@keras.saving.register_keras_serializable("keras_rnnlm")
class SimpleRNN(KernelRNN, keras.layers.SimpleRNN):
    """`keras.layers.SimpleRNN`, faster: same arguments, weights, outputs, gradients.

    Args:
        units: size of the state.
        *arguments: as in `keras.layers.SimpleRNN`.
        weight_dropout: fraction of the recurrent matrix's elements to drop in
            training, one mask a call (see `WeightDrop`).
        low_rank: rank of what is learnt beside the matrices, which then stay as they
            are (see `LowRank`); 0 trains the matrices.
        **options: as in `keras.layers.SimpleRNN`.

    Attributes:
        loop: the loop that the last call took: "native", "jax-scan",
            "tensorflow-loop", "torch-fused", "ops-loop" or "keras".

    Raises:
        ConfigError: if `weight_dropout` is out of range or meets an argument that
            only Keras's loop serves.
    """

    def _equation(self) -> cells.KerasCell:
        return cells.ElmanCell(self.cell.activation)


@keras.saving.register_keras_serializable("keras_rnnlm")
class LSTM(KernelRNN, keras.layers.LSTM):
    """`keras.layers.LSTM`, faster: same arguments, weights, outputs, gradients.

    Args:
        units: size of the hidden and of the cell state.
        *arguments: as in `keras.layers.LSTM`.
        weight_dropout: fraction of the recurrent matrix's elements to drop in
            training, one mask a call (see `WeightDrop`).
        low_rank: rank of what is learnt beside the matrices, which then stay as they
            are (see `LowRank`); 0 trains the matrices.
        **options: as in `keras.layers.LSTM`.

    Attributes:
        loop: the loop that the last call took: "native", "jax-scan",
            "tensorflow-loop", "torch-fused", "ops-loop" or "keras".

    Raises:
        ConfigError: if `weight_dropout` is out of range or meets an argument that
            only Keras's loop serves.
    """

    def _equation(self) -> cells.KerasCell:
        return cells.LSTMCell(self.cell.activation, self.cell.recurrent_activation)


@keras.saving.register_keras_serializable("keras_rnnlm")
class GRU(KernelRNN, keras.layers.GRU):
    """`keras.layers.GRU`, faster: same arguments, weights, outputs, gradients.

    Args:
        units: size of the state.
        *arguments: as in `keras.layers.GRU`.
        weight_dropout: fraction of the recurrent matrix's elements to drop in
            training, one mask a call (see `WeightDrop`).
        low_rank: rank of what is learnt beside the matrices, which then stay as they
            are (see `LowRank`); 0 trains the matrices.
        **options: as in `keras.layers.GRU`.

    Attributes:
        loop: the loop that the last call took: "native", "jax-scan",
            "tensorflow-loop", "torch-fused", "ops-loop" or "keras".

    Raises:
        ConfigError: if `weight_dropout` is out of range or meets an argument that
            only Keras's loop serves.
    """

    cell_settings = MappingProxyType({"reset_after": True})

    def _equation(self) -> cells.KerasCell:
        kind = cells.GRUCell if self.cell.reset_after else cells.ResetBeforeGRUCell
        return kind(self.cell.activation, self.cell.recurrent_activation)

    def _biases(self) -> tuple[Array | None, Array | None]:
        if self.cell.bias is None:
            return None, None
        bias = ops.convert_to_tensor(self.cell.bias)
        return (bias[0], bias[1]) if self.cell.reset_after else (bias, None)
