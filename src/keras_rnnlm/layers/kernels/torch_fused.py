"""LSTM and GRU by PyTorch's own fused kernels: oneDNN on a CPU, cuDNN on a GPU.

They take the inputs themselves, not their projection. Masks, other activations and the
other form of the GRU are not theirs: those run in `ops_loop`.
"""

from typing import Any

import torch
from keras import activations, ops

from keras_rnnlm.layers.cells import Cell, GRUCell, LSTMCell, State

Array = Any


def serves(cell: Cell) -> bool:
    """Whether PyTorch has this cell."""
    return (
        type(cell) in (LSTMCell, GRUCell)
        and getattr(cell, "activation", None) is activations.tanh
        and getattr(cell, "recurrent_activation", None) is activations.sigmoid
    )


def recurrence(
    cell: Cell,
    inputs: Array,
    state: State,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None,
    recurrent_bias: Array | None,
) -> tuple[Array, State]:
    """Run a cell over a sequence that has no mask.

    Args:
        cell: LSTM, or GRU with the reset after the product.
        inputs: (T, B, D).
        state: initial state, arrays (B, units).
        kernel: input matrix (D, gates x units).
        recurrent_kernel: recurrent matrix (units, gates x units).
        bias: bias of the input projection (gates x units,), or None.
        recurrent_bias: bias of the recurrent product, or None.

    Returns:
        The hidden states after each step (T, B, units) and the last state, in the
        precision of the state.
    """
    dtype = state[0].dtype
    with_bias = bias is not None
    weights = [ops.cast(m, dtype) for m in (kernel, recurrent_kernel)]
    weights = [_reordered(cell, m, dim=1).T.contiguous() for m in weights]
    if with_bias:
        zeros = torch.zeros_like(weights[0][:, 0])
        both = [zeros if b is None else b for b in (bias, recurrent_bias)]
        weights += [_reordered(cell, ops.cast(b, dtype), dim=0) for b in both]
    start = [s.unsqueeze(0).contiguous() for s in state]
    arguments = (weights, with_bias, 1, 0.0, torch.is_grad_enabled(), False, False)
    inputs = ops.cast(inputs, dtype).contiguous()
    if len(state) == 2:
        hidden, *last = torch.lstm(inputs, start, *arguments)
    else:
        hidden, *last = torch.gru(inputs, start[0], *arguments)
    return hidden, tuple(s.squeeze(0) for s in last)


def _reordered(cell: Cell, array: Array, dim: int) -> Array:
    """The gates in PyTorch's order: the same for the LSTM, reset before update else."""
    if isinstance(cell, LSTMCell):
        return array
    units = array.shape[-1] // 3
    update, reset, candidate = (
        array[..., k * units : (k + 1) * units] for k in range(3)
    )
    return torch.cat([reset, update, candidate], dim=dim)
