"""The recurrence as one `tf.while_loop`, which XLA can compile.

`keras.ops.scan` would do but for a bound on the number of steps, without which XLA
refuses its gradient.
"""

from typing import Any

import tensorflow as tf

from keras_rnnlm.layers.cells import Cell, State
from keras_rnnlm.layers.kernels.ops_loop import one_step

Array = Any


def recurrence(
    cell: Cell,
    dtype: str,
    x: Array,
    mask: Array | None,
    state: State,
    kernel: Array,
    bias: Array | None,
) -> tuple[Array, State]:
    """Run a cell over a sequence; see `ops_loop.recurrence`. T may be unknown."""
    step = one_step(cell, kernel, bias, x.dtype)
    steps = x.shape[0] if x.shape[0] is not None else tf.shape(x)[0]
    inputs = tuple(
        tf.TensorArray(each.dtype, size=steps, element_shape=each.shape[1:]).unstack(
            each
        )
        for each in ((x,) if mask is None else (x, mask))
    )
    hidden = tf.TensorArray(x.dtype, size=steps, element_shape=state[0].shape)

    def body(t: Array, hidden: Array, state: State) -> tuple[Array, Array, State]:
        state = step(state, tuple(each.read(t) for each in inputs))
        return t + 1, hidden.write(t, state[0]), state

    _, hidden, state = tf.while_loop(
        lambda t, _hidden, _state: t < steps,
        body,
        (tf.constant(0), hidden, state),
        maximum_iterations=steps,
    )
    return hidden.stack(), state
