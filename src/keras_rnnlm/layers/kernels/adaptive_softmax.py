"""Adaptive softmax in one pass: every word's cost by how often it comes.

Grave et al. (2017), "Efficient softmax approximation for GPUs". Words are ranked by
frequency. The head is a softmax over the most frequent words and one entry for each
cluster of rarer ones; a cluster's words have a softmax of their own, behind a narrower
projection, which only those positions compute whose target is in it. The product of the
two is an exact distribution over all words.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import keras
from keras import ops

from keras_rnnlm.layers.kernels import chunks, one_pass
from keras_rnnlm.layers.kernels.one_pass import Outcome
from keras_rnnlm.layers.kernels.products import accumulator
from keras_rnnlm.layers.kernels.softmax import Softmax

Array = Any
Arrays = tuple[Array, ...]

# Rows of a cluster that are computed together, on JAX, whose shapes are constant.
BLOCK = 128


@dataclass(frozen=True)
class AdaptiveSoftmax:
    """Cross entropy and log-probabilities of hidden vectors, words numbered by rank.

    `weights` are head kernel (D, S + K) and bias, then for each of K clusters its
    projection (D, D_i), kernel (D_i, V_i) and bias (V_i).

    Attributes:
        bounds: S, then where each cluster ends; the last is V.
        dtype: Of the products' operands; sums are in float32 or better.
        loop: What makes the softmaxes; see `softmax.choose`.
    """

    bounds: tuple[int, ...]
    dtype: str
    loop: str

    def __call__(
        self,
        hidden: Array,
        weights: Arrays,
        ranks: Array,
        shares: Array,
        training: bool,
    ) -> Outcome:
        """Compute loss, nats and correctness; the loss can be differentiated.

        Args:
            hidden: (N, D).
            weights: See the class.
            ranks: (N,) of int32: the targets' ranks, in [0, V).
            shares: (N,): of each position in the loss. Not differentiated by.
            training: Whether the gradient will be asked for; see `one_pass.run`. Then a
                target counts as the likeliest if its cluster is and it is the likeliest
                there, which needs no other cluster's words.
        """
        return one_pass.run(
            self._evaluate,
            self._differentiate,
            (hidden, *weights),
            (ranks, ops.cast(shares, accumulator(self.dtype))),
            training,
        )

    def log_probabilities(self, hidden: Array, weights: Arrays) -> Array:
        """Natural log-probabilities (N, V) of (N, D) hidden vectors, by rank."""
        head, bias, *tails = (self._narrow(w) for w in weights)
        hidden = self._narrow(hidden)
        first = self.bounds[0]
        of_head = ops.log_softmax(self._affine(hidden, head, weights[1]), axis=-1)
        parts = [of_head[:, :first]]
        for i in range(len(self.bounds) - 1):
            projection, kernel, _ = tails[3 * i : 3 * i + 3]
            narrow = self._narrow(self._softmax.dot(hidden, projection, 1, 0))
            logits = self._affine(narrow, kernel, weights[3 * i + 4])
            cluster = of_head[:, first + i : first + i + 1]
            parts.append(cluster + ops.log_softmax(logits, axis=-1))
        return ops.concatenate(parts, axis=-1)

    def _evaluate(self, hidden: Array, *arrays: Array) -> Outcome:
        *weights, ranks, shares = arrays

        def step(sums: Any, chunk: Arrays) -> Any:
            hidden, ranks = chunk
            logits = self.log_probabilities(hidden, tuple(weights))
            return (), self._softmax.nats(logits, None, ranks)

        most = chunks.rows_for(self.bounds[-1])
        _, (nats, correct) = chunks.scan(step, (), (hidden, ranks), most)
        return Outcome(ops.sum(nats * shares), nats, correct)

    def _differentiate(
        self, hidden: Array, *arrays: Array
    ) -> tuple[Outcome, one_pass.Arrays]:
        *weights, ranks, shares = arrays
        head, head_bias, *tails = weights
        first = self.bounds[0]
        narrow, head = self._narrow(hidden), self._narrow(head)
        # The cluster of each target, 0 for the head's own words.
        cluster = sum(ops.cast(ranks >= bound, "int32") for bound in self.bounds[:-1])
        targets = ops.where(cluster == 0, ranks, first - 1 + cluster)
        factors, scale = shares, None
        if self.dtype == "float16":
            # Below 6e-8 float16 has nothing, and shares are one over the positions.
            scale = ops.maximum(ops.max(ops.absolute(shares)), 1e-30)
            factors = shares / scale

        def step(sums: Any, chunk: Arrays) -> Any:
            hidden, targets, shares = chunk
            found = self._product_gradient(hidden, head, head_bias, targets, shares)
            d_hidden, d_head, d_bias, nats, correct = found
            if sums is not None:
                d_head, d_bias = sums[0] + d_head, sums[1] + d_bias
            return (d_head, d_bias), (nats, correct, d_hidden)

        most = chunks.rows_for(first + len(self.bounds) - 1)
        gradients, (nats, correct, d_hidden) = chunks.scan(
            step, self._zeros(head, head_bias), (narrow, targets, factors), most
        )
        for i, (begin, end) in enumerate(pairwise(self.bounds)):
            tail = tuple(tails[3 * i : 3 * i + 3])
            inside = ranks - begin, end - begin
            (nats, correct, d_hidden, *more) = self._tail(
                (nats, correct, d_hidden),
                narrow,
                tail,
                cluster == i + 1,
                inside,
                factors,
            )
            gradients = (*gradients, *more)
        outcome = Outcome(ops.sum(nats * shares), nats, correct)
        found = (d_hidden, *gradients)
        if scale is not None:
            found = tuple(gradient * scale for gradient in found)
        return outcome, found

    def _tail(
        self,
        found: Arrays,
        hidden: Array,
        tail: Arrays,
        members: Array,
        inside: tuple[Array, int],
        shares: Array,
    ) -> Arrays:
        """Add a cluster's part to nats, correctness and the gradient of `hidden`.

        Returns those and the gradients of projection, kernel and bias.
        """
        projection, kernel = self._narrow(tail[0]), self._narrow(tail[1])
        targets, words = inside
        softmax = self._softmax

        def step(sums: Arrays, places: Array, counted: Array) -> Arrays:
            nats, correct, d_hidden, d_projection, d_kernel, d_bias = sums
            rows = ops.take(hidden, places, axis=0)
            own = ops.clip(ops.take(targets, places, axis=0), 0, words - 1)
            share = ops.take(shares, places, axis=0) * counted
            narrow = self._narrow(softmax.dot(rows, projection, 1, 0))
            d_narrow, dk, db, more, best = self._product_gradient(
                narrow, kernel, tail[2], own, share
            )
            d_narrow = self._narrow(d_narrow)
            dh = softmax.dot(d_narrow, projection, 1, 1)
            # The cluster was the likeliest in the head, and the word is in the cluster.
            wrong = ops.take(correct, places, axis=0) * (best - 1) * counted
            return (
                _added(nats, places, more * counted),
                _added(correct, places, wrong),
                _added(d_hidden, places, dh),
                d_projection + softmax.dot(rows, d_narrow, 0, 0),
                d_kernel + dk,
                d_bias + db,
            )

        sums = (*found, *self._zeros(*tail))
        return _over_members(step, sums, members, chunks.rows_for(words))

    def _product_gradient(
        self, hidden: Array, kernel: Array, bias: Array, targets: Array, shares: Array
    ) -> Arrays:
        """Gradients by hidden, kernel and bias of a softmax; nats and correct."""
        softmax = self._softmax
        logits = softmax.dot(hidden, kernel, 1, 0)
        d_logits, nats, correct, d_bias = softmax.gradient(
            logits, bias, targets, shares
        )
        d_hidden = softmax.dot(d_logits, kernel, 1, 1)
        return d_hidden, softmax.dot(hidden, d_logits, 0, 0), d_bias, nats, correct

    @property
    def _softmax(self) -> Softmax:
        return Softmax(self.loop, self.dtype)

    def _narrow(self, array: Array) -> Array:
        return ops.cast(array, self.dtype)

    def _affine(self, hidden: Array, kernel: Array, bias: Array) -> Array:
        logits = self._softmax.dot(hidden, kernel, 1, 0)
        return logits + ops.cast(bias, logits.dtype)

    def _zeros(self, *like: Array) -> Arrays:
        return tuple(ops.zeros(x.shape, accumulator(self.dtype)) for x in like)


def _added(array: Array, places: Array, values: Array) -> Array:
    """`array` (N, ...) with values (R, ...) added at places (R,)."""
    backend = keras.backend.backend()
    if backend == "jax":
        return array.at[places].add(values)
    if backend == "torch":
        return array.index_add(0, places, values)
    import tensorflow as tf

    return tf.tensor_scatter_nd_add(array, places[:, None], values)


def _over_members(
    step: Callable[[Arrays, Array, Array], Arrays],
    sums: Arrays,
    members: Array,
    most: int,
) -> Arrays:
    """Run `step` over blocks of the rows for which `members` (N,) is true.

    The step is given sums, places (R,) and 1.0 for each that counts: on JAX, whose
    shapes are constant, the last block is filled with places that do not.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        return _jax_over_members(step, sums, members, min(most, BLOCK))
    if backend == "torch":
        places = members.nonzero()[:, 0]
        for block in places.split(most) if len(places) else ():
            sums = step(sums, block, ops.ones(block.shape, sums[0].dtype))
        return sums
    import tensorflow as tf

    places = tf.where(members)[:, 0]
    count = tf.shape(places)[0]

    def body(begin: Array, sums: Arrays) -> Any:
        block = places[begin : begin + most]
        ones = tf.ones(tf.shape(block), sums[0].dtype)
        return begin + most, step(sums, block, ones)

    start = tf.constant(0), tuple(sums)
    result: Arrays = tf.while_loop(lambda begin, _: begin < count, body, start)[1]
    return result


def _jax_over_members(
    step: Callable[[Arrays, Array, Array], Arrays],
    sums: Arrays,
    members: Array,
    block: int,
) -> Arrays:
    import jax
    import jax.numpy as jnp

    total = members.shape[0]
    block = min(block, total)
    places = jnp.argsort(jnp.logical_not(members), stable=True).astype("int32")
    places = jnp.pad(places, (0, -total % block))
    count = jnp.sum(members, dtype="int32")

    def body(state: tuple[Array, Arrays]) -> tuple[Array, Arrays]:
        begin, sums = state
        at = jax.lax.dynamic_slice_in_dim(places, begin, block)
        counted = begin + jnp.arange(block) < count
        return begin + block, step(sums, at, counted.astype(sums[0].dtype))

    start = jnp.int32(0), tuple(sums)
    result: Arrays = jax.lax.while_loop(lambda s: s[0] < count, body, start)[1]
    return result
