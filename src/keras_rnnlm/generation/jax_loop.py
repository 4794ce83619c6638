"""Tokens drawn in a loop that JAX compiles: a chunk of them in one call.

For networks that the C++ loop lacks a part of, and for GPUs. Compiled once a network
and number of rows, whatever the prompt, the settings of the sampler or the number of
tokens asked for.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from keras_rnnlm.generation.reading import PIECES, read_pieces, repeated
from keras_rnnlm.generation.samplers import (
    Sampler,
    not_finite,
    nothing_allowed,
    uniforms,
)
from keras_rnnlm.models.compiled import compiled_once

Ids = NDArray[np.int32]
Array = Any

# Most tokens drawn in a call, which begins with the last few of the prompt.
_DRAWN = 64
_STEPS = _DRAWN + PIECES[-1]

# What float32 holds: below the first a nucleus is empty; above the second one divided
# by a temperature is zero, and so what is banned, minus infinity, no number.
_TINY, _LARGEST = float(np.finfo("f4").tiny), 1e37

_DONE, _NOT_FINITE, _NOTHING_ALLOWED = range(3)


def blocks(
    network: Any,
    context: Ids,
    seen: NDArray[np.bool_],
    sampler: Sampler,
    streams: Sequence[np.random.Generator],
    sizes: Iterator[int],
) -> Iterator[Ids]:
    """Draw tokens, a call for each chunk; see `loops.Loop`."""
    rows = len(streams)
    state, left = read_pieces(network, context)
    state = repeated(state, rows)
    given = np.repeat(left[:, None], rows, axis=1)
    banned = np.zeros(seen.shape[1], np.bool_)
    banned[list(sampler.banned)] = True
    excluded = banned.copy()
    excluded[list(sampler.banned_first)] = True
    settings = {
        "temperature": np.float32(min(sampler.temperature, _LARGEST)),
        "penalty": np.float32(sampler.repetition_penalty),
        "top_k": np.int32(min(sampler.top_k or seen.shape[1], seen.shape[1])),
        "top_p": np.float32(
            max(1.0 if sampler.top_p is None else sampler.top_p, _TINY)
        ),
        "banned": excluded,
    }
    chunk = compiled_once(network, _chunk)
    marked: Array = jnp.asarray(seen)
    for size in sizes:
        for count in _cut(size):
            read = len(given)
            inputs = np.zeros((_STEPS, rows), np.int32)
            inputs[:read] = given
            points = np.zeros((_STEPS, rows), np.float32)
            points[read - 1 : read - 1 + count] = uniforms(streams, count)
            bounds = np.array([read, read - 1 + count], np.int32)
            status, drawn, state, marked = chunk(
                inputs, bounds, points, state, marked, settings
            )
            settings["banned"] = banned
            if int(status) == _NOT_FINITE:
                raise not_finite()
            if int(status) == _NOTHING_ALLOWED:
                raise nothing_allowed()
            block = np.asarray(drawn)[read - 1 : read - 1 + count]
            yield block
            given = block[-1:]


def _cut(size: int) -> Iterator[int]:
    while size > 0:
        yield min(size, _DRAWN)
        size -= _DRAWN


def _chunk(
    network: Any,
    inputs: Array,
    bounds: Array,
    points: Array,
    state: Any,
    seen: Array,
    settings: dict[str, Array],
) -> tuple[Array, Array, Any, Array]:
    """Read the given tokens, then draw; this runs inside the compiled function.

    Args:
        network: The network.
        inputs: (steps, rows) ids, the first `bounds[0]` of which are given.
        bounds: Number of given tokens, and of steps to take.
        points: (steps, rows) numbers in [0, 1) for the tokens drawn after each step.
        state: The state before the first token.
        seen: (rows, V), tokens that the penalty falls on.
        settings: Those of the sampler.

    Returns:
        The status, what was drawn after each step (steps, rows), state and `seen`.
    """
    rows = jnp.arange(inputs.shape[1])

    def more(carry: Any) -> Array:
        step, status = carry[:2]
        return (step < bounds[1]) & (status == _DONE)

    def advance(carry: Any) -> Any:
        step, _, last, state, seen, drawn = carry
        log_probs, state = network.step(last, state)
        status, ids = _draw(log_probs, seen, points[step], settings)
        drawing = step + 1 >= bounds[0]
        seen = seen.at[rows, ids].max(drawing)
        last = jnp.where(drawing, ids, inputs[step + 1])
        return step + 1, status, last, state, seen, drawn.at[step].set(ids)

    start = (
        jnp.int32(0),
        jnp.int32(_DONE),
        inputs[0],
        state,
        seen,
        jnp.zeros_like(inputs),
    )
    _, status, _, state, seen, drawn = lax.while_loop(more, advance, start)
    return status, drawn, state, seen


def _draw(
    log_probs: Array, seen: Array, points: Array, settings: dict[str, Array]
) -> tuple[Array, Array]:
    """Return the status and a token a row; the rules are those of `samplers`."""
    values = jnp.where(settings["banned"], -jnp.inf, log_probs.astype("float32"))
    values = lax.cond(
        settings["penalty"] == 1, lambda v, s, p: v, _penalize, values, seen,
        settings["penalty"],
    )  # fmt: skip
    top = values.max(axis=-1)
    finite = ~(jnp.isnan(log_probs) | jnp.isposinf(log_probs)).any()
    status = jnp.where(
        finite,
        jnp.where(jnp.isneginf(top).any(), _NOTHING_ALLOWED, _DONE),
        _NOT_FINITE,
    )
    temperature = jnp.maximum(settings["temperature"], np.finfo(np.float32).tiny)
    scaled = (values - top[:, None]) / temperature
    picky = (settings["top_k"] < values.shape[-1]) | (settings["top_p"] < 1)
    weights = lax.cond(
        picky,
        _few,
        lambda scaled, top_k, top_p: jnp.exp(scaled),
        scaled,
        settings["top_k"],
        settings["top_p"],
    )
    sums = jnp.cumsum(weights, axis=-1)
    drawn = (sums <= points[:, None] * sums[:, -1:]).sum(axis=-1)
    # A number just below 1 is 1 in float32.
    last = weights.shape[-1] - 1 - jnp.argmax(weights[:, ::-1] > 0, axis=-1)
    ids = jnp.where(
        settings["temperature"] == 0,
        jnp.argmax(values, axis=-1),
        jnp.minimum(drawn, last),
    )
    return status.astype("int32"), ids.astype("int32")


def _penalize(values: Array, seen: Array, penalty: Array) -> Array:
    possible = jnp.isfinite(values)
    scores = values - jnp.mean(values, axis=-1, keepdims=True, where=possible)
    penalized = jnp.where(scores > 0, scores / penalty, scores * penalty)
    return jnp.where(seen, penalized, scores)


def _few(scaled: Array, top_k: Array, top_p: Array) -> Array:
    """Weights of the top-k and the nucleus of them, zero for others."""
    order = jnp.argsort(-scaled, axis=-1, stable=True)
    falling = jnp.exp(jnp.take_along_axis(scaled, order, axis=-1))
    falling = jnp.where(jnp.arange(scaled.shape[-1]) < top_k, falling, 0)
    sums = jnp.cumsum(falling, axis=-1)
    # A token stays while the likelier ones before it have not reached p by themselves.
    kept = jnp.where((sums - falling) < top_p * sums[:, -1:], falling, 0)
    kept = jnp.where(top_p >= 1, falling, kept)
    rows = jnp.arange(scaled.shape[0])[:, None]
    return jnp.zeros_like(scaled).at[rows, order].set(kept)
