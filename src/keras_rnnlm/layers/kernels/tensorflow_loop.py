"""The recurrence as one `tf.while_loop`, which XLA can compile.

`keras.ops.scan` would do but for a bound on the number of steps, without which XLA
refuses its gradient.
"""

from typing import Any

import tensorflow as tf

from keras_rnnlm.layers.cells import Cell, KerasCell, LoopWeights, State, loop_weights
from keras_rnnlm.layers.kernels.ops_loop import one_step

Array = Any


def recurrence(
    cell: KerasCell,
    dtype: str,
    x: Array,
    mask: Array | None,
    state: State,
    kernel: Array,
    bias: Array | None,
) -> tuple[Array, State]:
    """Run a cell over a sequence; see `ops_loop.recurrence`. T may be unknown."""
    return run(cell, dtype, x, mask, state, loop_weights(cell, kernel, bias))


def run(
    cell: Cell,
    dtype: str,
    x: Array,
    mask: Array | None,
    state: State,
    weights: LoopWeights,
) -> tuple[Array, State]:
    """Run a cell over a sequence; see `ops_loop.run`. T may be unknown."""
    step = one_step(cell, weights, x.dtype)
    steps = x.shape[0] if x.shape[0] is not None else tf.shape(x)[0]
    given = (x,) if mask is None else (x, mask)
    inputs = tuple(
        tf.TensorArray(each.dtype, size=steps, element_shape=each.shape[1:]).unstack(
            each
        )
        for each in given
    )
    # What a step emits is known from one whose result nobody uses.
    emitted = (
        state[0]
        if cell.emits_state
        else step(state, tuple(each[0] for each in given))[0]
    )
    hidden = tf.TensorArray(x.dtype, size=steps, element_shape=emitted.shape)

    def body(t: Array, hidden: Array, state: State) -> tuple[Array, Array, State]:
        output, new = step(state, tuple(each.read(t) for each in inputs))
        # Whatever is known of the batch, a step leaves shapes as they are.
        new = tuple(
            tf.ensure_shape(n, s.shape) for n, s in zip(new, state, strict=True)
        )
        return t + 1, hidden.write(t, output), new

    _, hidden, state = tf.while_loop(
        lambda t, _hidden, _state: t < steps,
        body,
        (tf.constant(0), hidden, state),
        maximum_iterations=steps,
    )
    return hidden.stack(), state
