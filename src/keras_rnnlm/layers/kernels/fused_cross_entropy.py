"""The output layer's product and cross entropy in one pass, chunk by chunk.

Of a batch's logits one chunk is in memory at a time. Its softmax minus one-hot is
multiplied into the gradients of hidden vectors and matrix before the next chunk begins,
so that no logits are kept for the backward pass.
"""

from dataclasses import dataclass
from typing import Any

from keras import ops

from keras_rnnlm.layers.kernels import chunks, one_pass
from keras_rnnlm.layers.kernels.one_pass import Outcome
from keras_rnnlm.layers.kernels.products import accumulator
from keras_rnnlm.layers.kernels.softmax import Softmax

Array = Any


@dataclass(frozen=True)
class FusedCrossEntropy:
    """Cross entropy of hidden vectors under a full softmax.

    Attributes:
        by_words: Whether the matrix is (V, D), as an embedding is; else (D, V).
        dtype: Of the products' operands; sums are in float32 or better.
        loop: What makes the softmax; see `softmax.choose`.
        rows: Most rows of logits at a time; by the size of the vocabulary if None.
    """

    by_words: bool
    dtype: str
    loop: str
    rows: int | None = None

    def __call__(
        self,
        hidden: Array,
        matrix: Array,
        bias: Array | None,
        targets: Array,
        weights: Array,
        training: bool,
    ) -> Outcome:
        """Compute loss, nats and correctness; the loss can be differentiated.

        Args:
            hidden: (N, D).
            matrix: (V, D) or (D, V), in any float type; its gradient has the same.
            bias: (V,) or None.
            targets: (N,) of int32 in [0, V).
            weights: (N,): of each position in the loss. Not differentiated by.
            training: Whether the gradient will be asked for; see `one_pass.run`.
        """
        wide = accumulator(self.dtype)
        return one_pass.run(
            self._evaluate,
            self._differentiate,
            (hidden, matrix, bias),
            (targets, ops.cast(weights, wide)),
            training,
        )

    @property
    def softmax(self) -> Softmax:
        """What makes the softmax."""
        return Softmax(self.loop, self.dtype)

    def words(self, matrix: Array) -> int:
        """V of a matrix."""
        return int(matrix.shape[0 if self.by_words else 1])

    def rows_of(self, matrix: Array) -> int:
        """Most rows of logits at a time."""
        return chunks.rows_for(self.words(matrix)) if self.rows is None else self.rows

    def _evaluate(
        self,
        hidden: Array,
        matrix: Array,
        bias: Array | None,
        targets: Array,
        weights: Array,
    ) -> Outcome:
        softmax = self.softmax
        matrix, narrow = softmax.operand(matrix), ops.cast(hidden, self.dtype)

        def step(sums: Any, chunk: tuple[Array, ...]) -> Any:
            hidden, targets = chunk
            found = softmax.nats(self.logits(hidden, matrix), bias, targets)
            return (), found

        most = self.rows_of(matrix)
        _, (nats, correct) = chunks.scan(step, (), (narrow, targets), most)
        return Outcome(ops.sum(nats * weights), nats, correct)

    def _differentiate(
        self,
        hidden: Array,
        matrix: Array,
        bias: Array | None,
        targets: Array,
        weights: Array,
    ) -> tuple[Outcome, one_pass.Arrays]:
        softmax = self.softmax
        matrix, narrow = softmax.operand(matrix), ops.cast(hidden, self.dtype)
        wide = accumulator(self.dtype)
        factors, scale = weights, None
        if self.dtype == "float16":
            # Below 6e-8 float16 has nothing, and weights are one over the positions.
            scale = ops.maximum(ops.max(ops.absolute(weights)), 1e-30)
            factors = weights / scale

        def step(sums: Any, chunk: tuple[Array, ...]) -> Any:
            hidden, targets, factors = chunk
            logits = self.logits(hidden, matrix)
            d_logits, nats, correct, d_bias = softmax.gradient(
                logits, bias, targets, factors
            )
            d_hidden, d_matrix = self.products(d_logits, hidden, matrix)
            if sums is not None:
                d_matrix, d_bias = sums[0] + d_matrix, sums[1] + d_bias
            return (d_matrix, d_bias), (nats, correct, d_hidden)

        zeros = ops.zeros(matrix.shape, wide), ops.zeros((self.words(matrix),), wide)
        (d_matrix, d_bias), (nats, correct, d_hidden) = chunks.scan(
            step, zeros, (narrow, targets, factors), self.rows_of(matrix)
        )
        outcome = Outcome(ops.sum(nats * weights), nats, correct)
        gradients: one_pass.Arrays
        gradients = d_hidden, d_matrix, None if bias is None else d_bias
        if scale is not None:
            gradients = tuple(None if g is None else g * scale for g in gradients)
        return outcome, gradients

    def logits(self, hidden: Array, matrix: Array) -> Array:
        """Logits (n, V), without bias, of (n, D)."""
        product = self.softmax.product
        return product(hidden, matrix, 1, 1 if self.by_words else 0)

    def products(
        self, d_logits: Array, hidden: Array, matrix: Array
    ) -> tuple[Array, Array]:
        """The gradients by (n, D) and by the matrix, of one by logits (n, V)."""
        dot = self.softmax.product
        if self.by_words:
            return dot(d_logits, matrix, 1, 0), dot(d_logits, hidden, 0, 0)
        return dot(d_logits, matrix, 1, 1), dot(hidden, d_logits, 0, 0)
