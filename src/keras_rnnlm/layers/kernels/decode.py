"""The C++ loops of `native/decode.cc`: many tokens through a packed network in a call.

They are plain C functions on NumPy's memory, not XLA's: nothing is traced or compiled
before the first token, and they run under every Keras backend. State is an array
(layers, arrays a layer, rows, units), float32, that each call changes in place.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.errors import InputError
from keras_rnnlm.layers.kernels.native.library import function
from keras_rnnlm.layers.kernels.packing import Packed

Ids = NDArray[np.int32]
Floats = NDArray[np.float32]

_I64, _F64 = ctypes.c_int64, ctypes.c_double


def _array(dtype: Any) -> Any:
    return np.ctypeslib.ndpointer(dtype, flags="C_CONTIGUOUS")


_PLAN = (_array(np.int64), _array(np.uint8), _I64, _I64, _I64, _array(np.float32))
_TOKENS = _array(np.int32)

# What a call returns.
DONE, NOT_FINITE, NOTHING_ALLOWED, NO_MEMORY = range(4)


def zero_state(packed: Packed, rows: int) -> Floats:
    """Return the state before the first token."""
    layers, arrays, units = packed.state_shape
    return np.zeros((layers, arrays, rows, units), np.float32)


def read(packed: Packed, tokens: Ids, state: Floats, threads: int = 0) -> None:
    """Read tokens (T, rows); the state, changed in place, is all that comes of it."""
    tokens = _checked(packed, tokens)
    call = _function("rnnlm_decode_read", *_PLAN, _TOKENS, ctypes.c_void_p)
    _done(call(*_plan(packed, tokens, state, threads), tokens, None))


def logits(packed: Packed, tokens: Ids, state: Floats, threads: int = 0) -> Floats:
    """Read tokens (T, rows), at least one; return the logits after them, (rows, V)."""
    tokens = _checked(packed, tokens)
    result = np.empty((tokens.shape[1], packed.vocabulary), np.float32)
    call = _function("rnnlm_decode_read", *_PLAN, _TOKENS, ctypes.c_void_p)
    _done(
        call(*_plan(packed, tokens, state, threads), tokens, result.ctypes.data),
    )
    return result


def score(
    packed: Packed, tokens: Ids, targets: Ids, state: Floats, threads: int = 0
) -> tuple[Floats, NDArray[np.bool_]]:
    """Read tokens (T, rows) and score what comes next.

    Args:
        packed: The network.
        tokens: (T, rows) ids.
        targets: (T, rows) ids of the tokens after those.
        state: Changed in place.
        threads: Most threads; all cores when 0.

    Returns:
        Negative natural log-probabilities of the targets (T, rows), and whether no
        other token was likelier.
    """
    tokens, targets = _checked(packed, tokens), _checked(packed, targets)
    _same_shape("targets", targets.shape, tokens.shape)
    nats = np.empty(tokens.shape, np.float32)
    correct = np.empty(tokens.shape, np.uint8)
    call = _function(
        "rnnlm_decode_score",
        *_PLAN,
        _TOKENS,
        _TOKENS,
        _array(np.float32),
        _array(np.uint8),
    )
    _done(call(*_plan(packed, tokens, state, threads), tokens, targets, nats, correct))
    return nats, correct.astype(np.bool_)


def draw(
    packed: Packed,
    last: Ids,
    uniforms: NDArray[np.float64],
    state: Floats,
    seen: NDArray[np.uint8],
    banned: NDArray[np.uint8],
    temperature: float,
    penalty: float,
    top_k: int,
    top_p: float,
    threads: int = 0,
) -> tuple[int, Ids]:
    """Draw tokens, each from what the network expects after the one before.

    What is done to the distribution stands in `generation.samplers`.

    Args:
        packed: The network.
        last: (rows,) ids that the first drawn tokens follow.
        uniforms: (T, rows) numbers in [0, 1), one for each token.
        state: From before `last` was read; changed in place.
        seen: (rows, V), 1 for tokens that the penalty falls on; those drawn are added.
        banned: (V,), 1 for tokens that are never drawn.
        temperature: 0 for the likeliest token.
        penalty: 1 for none.
        top_k: 0 for all.
        top_p: 1 for all.
        threads: Most threads; all cores when 0.

    Returns:
        `DONE`, `NOT_FINITE` or `NOTHING_ALLOWED`, and the tokens (T, rows), of use if
        it is `DONE`.
    """
    last = _checked(packed, last[None])
    drawn = np.zeros(uniforms.shape, np.int32)
    rows = last.shape[1]
    _same_shape("uniforms", uniforms.shape, (len(uniforms), rows))
    _same_shape("tokens seen", seen.shape, (rows, packed.vocabulary))
    _same_shape("banned tokens", banned.shape, (packed.vocabulary,))
    call = _function(
        "rnnlm_decode_draw",
        *_PLAN,
        _TOKENS,
        _array(np.float64),
        _array(np.uint8),
        _array(np.uint8),
        _F64,
        _F64,
        _I64,
        _F64,
        _TOKENS,
    )
    status = call(
        *_plan(packed, drawn, state, threads),
        last,
        uniforms,
        seen,
        banned,
        temperature,
        penalty,
        top_k,
        top_p,
        drawn,
    )
    if status == NO_MEMORY:
        raise MemoryError
    return status, drawn


def int8_sums(bytes_: NDArray[np.uint8], panel: NDArray[np.int8]) -> NDArray[np.int32]:
    """Return the integer sums of bytes (rows, depth) times a panel of 64 columns.

    What the int8 products stand on, by itself, for tests: every processor gives the
    same.
    """
    rows, depth = bytes_.shape
    sums = np.empty((rows, 64), np.int32)
    call = function(
        "rnnlm_int8_sums",
        None,
        _array(np.uint8),
        _I64,
        _I64,
        _array(np.int8),
        _array(np.int32),
    )
    call(bytes_, rows, depth, panel, sums)
    return sums


def read_memory(memory: Floats, passes: int, threads: int = 0) -> None:
    """Read an array `passes` times, each thread a share: to time what memory gives."""
    call = function(
        "rnnlm_read_memory", ctypes.c_float, _array(np.float32), _I64, _I64, _I64
    )
    call(memory, memory.size, passes, threads)


def _function(name: str, *types: Any) -> Callable[..., int]:
    return function(name, ctypes.c_int32, *types)


def _plan(packed: Packed, tokens: Ids, state: Floats, threads: int) -> tuple[Any, ...]:
    steps, rows = tokens.shape
    layers, arrays, units = packed.state_shape
    _same_shape("a state", state.shape, (layers, arrays, rows, units))
    return packed.plan, packed.memory, threads, rows, steps, state


def _same_shape(what: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if tuple(found) != wanted:
        raise InputError(
            f"Expected {what} of shape {wanted}, received {tuple(found)}: one row "
            "for each row of tokens, and as this network has them."
        )


def _checked(packed: Packed, tokens: Ids) -> Ids:
    """The C code believes what it is given."""
    tokens = np.ascontiguousarray(tokens, np.int32)
    if tokens.size and not 0 <= tokens.min() <= tokens.max() < packed.vocabulary:
        raise InputError(
            f"Expected token ids from 0 to {packed.vocabulary - 1}, received "
            f"{tokens.min()} to {tokens.max()}. Encode the text with the tokenizer of "
            "this network."
        )
    return tokens


def _done(status: int) -> None:
    if status != DONE:
        raise MemoryError
