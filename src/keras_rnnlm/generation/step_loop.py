"""Tokens drawn one at a time in Python: for any backend, network and sampler."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.generation.reading import functions, read_context
from keras_rnnlm.generation.samplers import Sampler, ban, draw

Ids = NDArray[np.int32]


def blocks(
    network: Any,
    context: Ids,
    seen: NDArray[np.bool_],
    sampler: Sampler,
    streams: Sequence[np.random.Generator],
    sizes: Iterator[int],
) -> Iterator[Ids]:
    """Draw tokens, a compiled call for each; see `loops.Loop`."""
    rows = len(streams)
    _, step = functions(network)
    values, state = read_context(network, context, rows)
    if sampler.banned_first:
        values = ban(values, sampler.banned_first)
    ids: Ids | None = None
    for size in sizes:
        for _ in range(size):
            if ids is not None:
                log_probs, state = step(ids, state)
                values = ops.convert_to_numpy(log_probs)
            ids = draw(sampler(values, seen), streams)
            seen[np.arange(rows), ids] = True
            yield ids[None]
