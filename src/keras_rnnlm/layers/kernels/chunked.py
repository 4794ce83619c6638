"""The recurrence in chunks of several steps, each computed at once by the cell."""

from typing import Any

from keras import ops

from keras_rnnlm.layers.cells import ChunkedCell, LoopWeights, State
from keras_rnnlm.layers.kernels.ops_loop import inside

Array = Any

# The work within a chunk grows with its square, that between chunks falls with it; and
# each chunk is compiled by itself.
STEPS, CHUNKS = 32, 8


def run(
    cell: ChunkedCell,
    dtype: str,
    x: Array,
    mask: None,
    state: State,
    weights: LoopWeights,
) -> tuple[Array, State]:
    """Run a cell over a sequence; see `ops_loop.run`. T is known, there is no mask."""
    w = inside(weights, x.dtype)
    hidden = []
    size = max(STEPS, -(-x.shape[0] // CHUNKS))
    for start in range(0, x.shape[0], size):
        output, state = cell.chunk(x[start : start + size], state, w)
        hidden.append(output)
    return hidden[0] if len(hidden) == 1 else ops.concatenate(hidden), state
