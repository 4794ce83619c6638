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
    def _softmax(self) -> Softmax:
        return Softmax(self.loop, self.dtype)

    def _rows(self, matrix: Array) -> int:
        words = matrix.shape[0 if self.by_words else 1]
        return chunks.rows_for(words) if self.rows is None else self.rows

    def _evaluate(
        self,
        hidden: Array,
        matrix: Array,
        bias: Array | None,
        targets: Array,
        weights: Array,
    ) -> Outcome:
        softmax = self._softmax
        matrix, narrow = ops.cast(matrix, self.dtype), ops.cast(hidden, self.dtype)

        def step(sums: Any, chunk: tuple[Array, ...]) -> Any:
            hidden, targets = chunk
            found = softmax.nats(self._logits(hidden, matrix), bias, targets)
            return (), found

        most = self._rows(matrix)
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
        softmax = self._softmax
        matrix, narrow = ops.cast(matrix, self.dtype), ops.cast(hidden, self.dtype)
        wide = accumulator(self.dtype)
        factors, scale = weights, None
        if self.dtype == "float16":
            # Below 6e-8 float16 has nothing, and weights are one over the positions.
            scale = ops.maximum(ops.max(ops.absolute(weights)), 1e-30)
            factors = weights / scale

        def step(sums: Any, chunk: tuple[Array, ...]) -> Any:
            hidden, targets, factors = chunk
            logits = self._logits(hidden, matrix)
            d_logits, nats, correct, d_bias = softmax.gradient(
                logits, bias, targets, factors
            )
            if self.by_words:
                d_hidden = softmax.dot(d_logits, matrix, 1, 0)
                d_matrix = softmax.dot(d_logits, hidden, 0, 0)  # (V, D)
            else:
                d_hidden = softmax.dot(d_logits, matrix, 1, 1)
                d_matrix = softmax.dot(hidden, d_logits, 0, 0)  # (D, V)
            if sums is not None:
                d_matrix, d_bias = sums[0] + d_matrix, sums[1] + d_bias
            return (d_matrix, d_bias), (nats, correct, d_hidden)

        words = matrix.shape[0 if self.by_words else 1]
        zeros = ops.zeros(matrix.shape, wide), ops.zeros((words,), wide)
        (d_matrix, d_bias), (nats, correct, d_hidden) = chunks.scan(
            step, zeros, (narrow, targets, factors), self._rows(matrix)
        )
        outcome = Outcome(ops.sum(nats * weights), nats, correct)
        gradients: one_pass.Arrays
        gradients = d_hidden, d_matrix, None if bias is None else d_bias
        if scale is not None:
            gradients = tuple(None if g is None else g * scale for g in gradients)
        return outcome, gradients

    def _logits(self, hidden: Array, matrix: Array) -> Array:
        return self._softmax.dot(hidden, matrix, 1, 1 if self.by_words else 0)
