"""Sampled softmax: a training step looks at the target and at a part of the words.

Bengio and Senécal (2008), "Adaptive Importance Sampling to Accelerate Training of a
Neural Probabilistic Language Model", and Jean et al. (2015): words are drawn by chance
from a distribution that resembles how often they come, and the logit of each is lowered
by the log of how often it is expected among those drawn. So their sum estimates the sum
over all words but the target, whose own term is exact.

Half of the words that take part are not drawn: the most frequent ones, which make up
most of the sum, are there in every step, once. The rest of the vocabulary is cut into
parts of the same probability, and each part gives one word (stratified sampling), so
that the estimate varies far less than with independent draws.
"""

import math
from typing import Any

from keras import ops

from keras_rnnlm.layers.kernels.one_pass import Outcome
from keras_rnnlm.layers.kernels.products import accumulator, product

Array = Any

# Instead of minus infinity, whose gradient would be no number.
_NEVER = -1e30


def always_there(words: int, samples: int) -> int:
    """How many of the most frequent words take part in every step."""
    return words if samples >= words else samples // 2


def draw_ranks(uniform: Array, words: int) -> Array:
    """Ranks of the words that take part in a step.

    Args:
        uniform: (S,) numbers in [0, 1).
        words: size V of the vocabulary.

    Returns:
        int32 (S,), or (V,) with all ranks where S is no smaller. The first S / 2 are
        the most frequent words; the others are log-uniform beyond them, as of Zipf's
        law: P(rank) = log((rank + 2) / (rank + 1)) / log((V + 1) / (F + 1)), F of them
        being always there.
    """
    samples = uniform.shape[0]
    first = always_there(words, samples)
    frequent = ops.arange(first, dtype="int32")
    if first == words:
        return frequent
    parts = samples - first
    place = (ops.arange(parts, dtype="float32") + uniform[:parts]) / parts
    beyond = ops.exp(place * math.log((words + 1) / (first + 1)))
    rare = ops.cast(ops.floor((first + 1) * beyond) - 1, "int32")
    return ops.concatenate([frequent, ops.clip(rare, first, words - 1)], axis=0)


def log_expected(ranks: Array, words: int, samples: int) -> Array:
    """The log of how often a word of each rank is expected among those of a step."""
    first = always_there(words, samples)
    if first == words:
        return ops.zeros(ranks.shape, "float32")
    wide = ops.cast(ranks, "float32")
    scale = (samples - first) / math.log((words + 1) / (first + 1))
    drawn = ops.log(ops.log1p(1 / (wide + 1)) * scale)
    return ops.where(ranks < first, ops.zeros_like(drawn), drawn)


def cross_entropy(
    hidden: Array,
    matrix: Array,
    bias: Array | None,
    targets: Array,
    samples: Array,
    correction: Array,
    shares: Array,
    dtype: str,
    by_words: bool,
) -> Outcome:
    """The loss of targets among drawn words; differentiated by the backend.

    Args:
        hidden: (N, D).
        matrix: (V, D), or (D, V) unless `by_words`.
        bias: (V,) or None.
        targets: (N,) of int32 in [0, V).
        samples: (S,) of int32 in [0, V), the same for all positions.
        correction: `log_expected` of the samples (S,).
        shares: (N,): of each position in the loss.
        dtype: Of the products' operands.
        by_words: Whether words are the matrix's first axis.

    Returns:
        Loss and nats, which estimate those under the whole vocabulary and are a little
        smaller on average; and whether no drawn word was likelier.
    """
    wide = accumulator(dtype)
    both = ops.concatenate([samples, targets], axis=0)
    # One gather: its gradient is one array of the matrix's size.
    rows = ops.take(matrix, both, axis=0 if by_words else 1)
    rows = rows if by_words else ops.transpose(rows)
    drawn = samples.shape[0]
    narrow = ops.cast(hidden, dtype)
    logits = product(narrow, ops.transpose(ops.cast(rows[:drawn], dtype)))
    own = ops.sum(
        ops.cast(narrow, wide) * ops.cast(ops.cast(rows[drawn:], dtype), wide), axis=-1
    )
    if bias is not None:
        biases = ops.cast(ops.take(bias, both, axis=0), wide)
        logits, own = logits + biases[:drawn], own + biases[drawn:]
    hit = ops.expand_dims(targets, -1) == samples
    correct = ops.all(ops.logical_or(hit, ops.expand_dims(own, -1) > logits), axis=-1)
    logits = ops.where(hit, _NEVER, logits - ops.cast(correction, wide))
    largest = ops.stop_gradient(ops.maximum(ops.max(logits, axis=-1), own))
    terms = ops.sum(ops.exp(logits - ops.expand_dims(largest, -1)), axis=-1)
    nats = ops.log(terms + ops.exp(own - largest)) - (own - largest)
    loss = ops.sum(nats * ops.cast(shares, wide))
    return Outcome(loss, ops.stop_gradient(nats), ops.cast(correct, wide))
