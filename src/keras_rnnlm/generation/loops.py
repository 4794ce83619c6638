"""Which loop draws tokens: in C++, compiled by JAX, or in Python.

A loop yields blocks of tokens (T, rows), as many as it is asked for. All of them draw
by the same rules from the same random numbers, so a seed gives the same text up to the
rounding of float32.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.generation import native_loop, step_loop
from keras_rnnlm.generation.samplers import Sampler
from keras_rnnlm.models.packed import PackedNetwork, packed_copy

Ids = NDArray[np.int32]
# An `RNNLM`, a `PackedNetwork`, or a model with their `vocabulary_size`,
# `initial_state` and `step`.
Network = Any

# Tokens in the first chunk, which is soon there, and at most.
FIRST, MOST = 4, 64


@dataclass(frozen=True)
class Loop:
    """A loop for one network.

    Attributes:
        path: Its name: "native avx512", say, "jax loop" or "token by token".
        weights: What it reads of the network: "float32", "bfloat16" or "int8"; None
            for the network itself.
        blocks: `(context, seen, sampler, streams, sizes) -> blocks`: reads the ids
            `context` (T,), at least one, then draws a block (size, rows) for each of
            `sizes`; `seen` (rows, V) are the tokens that the repetition penalty falls
            on, to which those drawn are added. The first of `sizes` is 1 if the
            sampler has `banned_first`.
    """

    path: str
    weights: str | None
    blocks: Callable[
        [
            Ids,
            NDArray[np.bool_],
            Sampler,
            Sequence[np.random.Generator],
            Iterator[int],
        ],
        Iterator[Ids],
    ]


def choose(network: Network, sampler: Sampler | None = None) -> Loop:
    """Return the fastest loop for a network.

    Args:
        network: An `RNNLM`, a `PackedNetwork`, or any model with their
            `vocabulary_size`, `initial_state` and `step`.
        sampler: One of another class than `Sampler` is called for each token, which
            only the loop in Python does.
    """
    of_its_own = sampler is not None and type(sampler) is not Sampler
    packed = network if isinstance(network, PackedNetwork) else None
    if not of_its_own:
        packed = packed or packed_copy(network)
        if packed is not None:
            blocks: Any = partial(native_loop.blocks, packed)
            return Loop(packed.path, packed.weights, blocks)
        if keras.backend.backend() == "jax":
            from keras_rnnlm.generation import jax_loop

            return Loop("jax loop", None, partial(jax_loop.blocks, network))
    weights = packed.weights if packed is not None else None
    return Loop("token by token", weights, partial(step_loop.blocks, network))


def chunk_sizes(tokens: int | None, first: int = FIRST) -> Iterator[int]:
    """Yield how many tokens to draw at a time: a few at first, then more.

    A text that ends early, at a stop string, has cost at most one chunk in vain.

    Args:
        tokens: How many in all; without end if absent.
        first: How many at first.
    """
    size = first
    while tokens is None or tokens > 0:
        now = size if tokens is None else min(size, tokens)
        yield now
        tokens = None if tokens is None else tokens - now
        size = min(2 * size, MOST)
