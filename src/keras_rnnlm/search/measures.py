"""What a comparison measures besides perplexity: speed, memory, losses by block."""

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.generation.generator import next_tokens
from keras_rnnlm.generation.loops import MOST, chunk_sizes
from keras_rnnlm.generation.samplers import Sampler, random_streams
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.weights import named_weights
from keras_rnnlm.scoring.ngram import NGramModel
from keras_rnnlm.scoring.protocols import protocol_for, segments
from keras_rnnlm.scoring.scorer import Progress, score_segments

BLOCKS = 200
LEAST_PREDICTIONS = 50
"""Blocks of the paired test: 200, fewer where they had fewer predictions than this."""

GENERATED_SECONDS = 1.0
PROMPT = 64
_NUMBER = 4  # bytes of a float32

Floats = NDArray[np.float64]


def block_sums(nats: NDArray[np.floating]) -> Floats:
    """Return the sums of losses over blocks of equal length.

    Neighbouring tokens, and lines, are easy or hard together, so that they are no
    independent sample; long blocks nearly are.

    Args:
        nats: (predictions,) in the order of the text.

    Returns:
        (blocks,) in float64.
    """
    blocks = max(1, min(BLOCKS, len(nats) // LEAST_PREDICTIONS))
    firsts = len(nats) * np.arange(blocks) // blocks
    sums: Floats = np.add.reduceat(np.asarray(nats, np.float64), firsts)
    return sums


def network_nats(
    network: CausalLM,
    text: EncodedText,
    protocol: str | None,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Return the loss of each prediction in the order of the text.

    Args:
        network: In float32.
        text: To score.
        protocol: State protocol; chosen by the size of the text if None.
        progress: Called with the numbers of predictions done and of all.
    """
    chosen = protocol_for(text, protocol)
    starts, stops = segments(text, chosen)
    found = score_segments(network, text.ids, starts, stops, progress=progress)
    return found.nats


def network_memory(network: CausalLM) -> tuple[int, int]:
    """Return the bytes that generating one text has to keep: weights and state.

    Counted, not measured: the resident set of a process holds compilers and what
    training left behind. The state is what is carried from one token to the next: of a
    Transformer the keys and values of its whole context.
    """
    weights = sum(math.prod(v.shape) for v in named_weights(network).values())
    state = sum(
        math.prod(array.shape) for array in keras.tree.flatten(network.initial_state(1))
    )
    return _NUMBER * weights, _NUMBER * state


def network_speed(network: CausalLM, text: EncodedText) -> float:
    """Return how many tokens a second the network writes, one text by itself.

    Args:
        network: In float32.
        text: The first tokens of it are the prompt.
    """
    prompt = np.asarray(text.ids[:PROMPT], np.int32)
    written = next_tokens(network, (), prompt, Sampler(), random_streams(0, 1))
    warm = 0
    for size in chunk_sizes(None):  # until whole chunks are drawn, and one of these
        warm += size
        if size == MOST:
            break
    for _ in range(warm):
        next(written)
    return _median_speed(lambda: next(written))


def ngram_memory(model: NGramModel) -> tuple[int, int]:
    """Return the bytes of the tables, and of the context that is looked up."""
    tables = sum(
        array.nbytes
        for table in model.tables
        for array in (table.keys, table.log_probabilities, table.log_backoffs)
    )
    return tables, (model.order - 1) * np.dtype(np.int32).itemsize


def ngram_speed(model: NGramModel, text: EncodedText) -> float:
    """Return how many tokens a second the n-gram model writes."""
    generator = np.random.default_rng(0)
    context: list[int] = np.asarray(text.ids[:PROMPT], np.int64).tolist()

    def write() -> None:
        sums = np.cumsum(model.next_probabilities(_last(context, model.order)))
        drawn = np.searchsorted(sums, generator.random() * sums[-1], side="right")
        context.append(min(int(drawn), model.vocabulary_size - 1))

    return _median_speed(write)


def _median_speed(write: Callable[[], object]) -> float:
    """Return tokens a second, the median over chunks: some meet a busy machine.

    Args:
        write: Writes a token.
    """
    speeds: list[float] = []
    begun = time.perf_counter()
    while not speeds or time.perf_counter() - begun < GENERATED_SECONDS:
        before = time.perf_counter()
        for _ in range(MOST):
            write()
        speeds.append(MOST / (time.perf_counter() - before))
    return statistics.median(speeds)


def _last(context: list[int], order: int) -> Any:
    return np.array(context[len(context) - order + 1 :], np.int64)
