"""Tokens drawn in C++: a chunk of them in one call, from packed weights."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.generation.samplers import (
    Sampler,
    not_finite,
    nothing_allowed,
    uniforms,
)
from keras_rnnlm.layers.kernels import decode
from keras_rnnlm.models.packed import PackedNetwork

Ids = NDArray[np.int32]


def blocks(
    network: PackedNetwork,
    context: Ids,
    seen: NDArray[np.bool_],
    sampler: Sampler,
    streams: Sequence[np.random.Generator],
    sizes: Iterator[int],
) -> Iterator[Ids]:
    """Draw tokens, a call for each chunk; see `loops.Loop`."""
    packed, rows = network.packed, len(streams)
    state = decode.zero_state(packed, 1)
    decode.read(packed, context[:-1, None], state)
    state = np.repeat(state, rows, axis=2)
    last = np.full(rows, context[-1], np.int32)
    banned = np.zeros(packed.vocabulary, np.uint8)
    banned[list(sampler.banned)] = 1
    excluded = banned.copy()
    excluded[list(sampler.banned_first)] = 1
    flags = seen.view(np.uint8)
    for size in sizes:
        status, drawn = decode.draw(
            packed,
            last,
            uniforms(streams, size),
            state,
            flags,
            excluded,
            sampler.temperature,
            sampler.repetition_penalty,
            sampler.top_k or 0,
            1.0 if sampler.top_p is None else sampler.top_p,
        )
        if status == decode.NOT_FINITE:
            raise not_finite()
        if status == decode.NOTHING_ALLOWED:
            raise nothing_allowed()
        yield drawn
        last, excluded = drawn[-1], banned
