"""How a network reads what comes before the first drawn token."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.models.compiled import compiled_once
from keras_rnnlm.models.packed import PackedNetwork

Ids = NDArray[np.int32]
Call = Callable[..., Any]

# A long prompt is read in pieces of these lengths, so that few shapes are compiled; the
# few tokens that are left go through the call that generation makes anyway.
PIECES = (256, 64, 16)


def functions(network: Any) -> tuple[Call, Call]:
    """Return compiled `(tokens, state) -> state` and `-> (log_probs, state)`."""
    if isinstance(network, PackedNetwork):
        return network.read, network.step
    return compiled_once(network, _state_after), compiled_once(network, _step)


def read_pieces(network: Any, context: Ids) -> tuple[Any, Ids]:
    """Read tokens (T,), at least one, but for the last few.

    Returns:
        The state of one row, and the tokens that are left: at least one, at most the
        shortest of `PIECES`.
    """
    read, _ = functions(network)
    state, left = network.initial_state(1), context
    for size in PIECES:
        # At least one token stays, for the call whose prediction is used.
        while len(left) > size:
            state, left = read(left[None, :size], state), left[size:]
    return state, left


def repeated(state: Any, rows: int) -> Any:
    """Return the state of one row as that of `rows` rows."""
    return keras.tree.map_structure(lambda value: ops.repeat(value, rows, 0), state)


def read_context(network: Any, context: Ids, rows: int) -> tuple[Any, Any]:
    """Read tokens (T,), at least one, in a row of its own; then repeat it.

    Returns:
        Log-probabilities (rows, V) of the next token and the state of `rows` rows.
    """
    _, step = functions(network)
    state, left = read_pieces(network, context)
    state = repeated(state, rows)
    for token in left:
        log_probs, state = step(np.full(rows, token, np.int32), state)
    return ops.convert_to_numpy(log_probs), state


def _state_after(network: Any, tokens: Any, state: Any) -> Any:
    # The unused probabilities are left out when this is compiled.
    return network.step(tokens, state)[1]


def _step(network: Any, tokens: Any, state: Any) -> Any:
    return network.step(tokens, state)
