"""Cross entropy under a mixture of softmaxes, chunk by chunk.

The gradient of -log sum_k pi_k p_k(target) by the logits of softmax k is that of an
ordinary cross entropy, weighted by the posterior r_k = pi_k p_k(target) / sum. So a
chunk's logits are made once, swept once for the posteriors and once for the gradient,
and of (positions, mixtures, vocabulary) only a chunk is ever in memory.
"""

from dataclasses import dataclass
from typing import Any

from keras import ops

from keras_rnnlm.layers.kernels import chunks, one_pass
from keras_rnnlm.layers.kernels.fused_cross_entropy import FusedCrossEntropy
from keras_rnnlm.layers.kernels.one_pass import Outcome
from keras_rnnlm.layers.kernels.products import accumulator

Array = Any


@dataclass(frozen=True)
class MixtureCrossEntropy:
    """Cross entropy of latent vectors under a mixture of full softmaxes.

    Attributes:
        full: How a single softmax of them is computed.
    """

    full: FusedCrossEntropy

    def __call__(
        self,
        latent: Array,
        log_priors: Array,
        matrix: Array,
        bias: Array | None,
        targets: Array,
        weights: Array,
        training: bool,
    ) -> Outcome:
        """Compute loss, nats and correctness; the loss can be differentiated.

        Args:
            latent: (N, K, D), a vector for each softmax.
            log_priors: (N, K), log pi_k.
            matrix: (V, D) or (D, V).
            bias: (V,) or None, of every softmax.
            targets: (N,) of int32 in [0, V).
            weights: (N,): of each position in the loss. Not differentiated by.
            training: Whether the gradient will be asked for; see `one_pass.run`.
        """
        wide = accumulator(self.full.dtype)
        return one_pass.run(
            self._evaluate,
            self._differentiate,
            (latent, log_priors, matrix, bias),
            (targets, ops.cast(weights, wide)),
            training,
        )

    def _rows(self, latent: Array, matrix: Array) -> int:
        return max(self.full.rows_of(matrix) // int(latent.shape[1]), 1)

    def _evaluate(
        self,
        latent: Array,
        log_priors: Array,
        matrix: Array,
        bias: Array | None,
        targets: Array,
        weights: Array,
    ) -> Outcome:
        dtype = self.full.dtype
        matrix, narrow = ops.cast(matrix, dtype), ops.cast(latent, dtype)

        def step(sums: Any, chunk: tuple[Array, ...]) -> Any:
            latent, log_priors, targets = chunk
            _, _, nats, _, correct = self._chunk(
                latent, log_priors, matrix, bias, targets
            )
            return (), (nats, correct)

        arrays = (narrow, log_priors, targets)
        most = self._rows(latent, matrix)
        _, (nats, correct) = chunks.scan(step, (), arrays, most)
        return Outcome(ops.sum(nats * weights), nats, correct)

    def _differentiate(
        self,
        latent: Array,
        log_priors: Array,
        matrix: Array,
        bias: Array | None,
        targets: Array,
        weights: Array,
    ) -> tuple[Outcome, one_pass.Arrays]:
        full, mixtures, width = self.full, latent.shape[1], latent.shape[2]
        wide = accumulator(full.dtype)
        matrix, narrow = ops.cast(matrix, full.dtype), ops.cast(latent, full.dtype)
        factors, scale = weights, None
        if full.dtype == "float16":
            # Below 6e-8 float16 has nothing, and weights are one over the positions.
            scale = ops.maximum(ops.max(ops.absolute(weights)), 1e-30)
            factors = weights / scale

        def step(sums: Any, chunk: tuple[Array, ...]) -> Any:
            latent, log_priors, targets, factors = chunk
            logits, repeated, nats, posteriors, correct = self._chunk(
                latent, log_priors, matrix, bias, targets
            )
            parts = posteriors * ops.expand_dims(factors, -1)  # (n, K)
            d_logits, _, _, d_bias = full.softmax.gradient(
                logits, bias, repeated, ops.reshape(parts, (-1,))
            )
            d_latent, d_matrix = full.products(
                d_logits, ops.reshape(latent, (-1, width)), matrix
            )
            if sums is not None:
                d_matrix, d_bias = sums[0] + d_matrix, sums[1] + d_bias
            d_latent = ops.reshape(d_latent, (-1, mixtures, width))
            return (d_matrix, d_bias), (nats, correct, d_latent, -parts)

        words = full.words(matrix)
        zeros = ops.zeros(matrix.shape, wide), ops.zeros((words,), wide)
        (d_matrix, d_bias), (nats, correct, d_latent, d_log_priors) = chunks.scan(
            step,
            zeros,
            (narrow, log_priors, targets, factors),
            self._rows(latent, matrix),
        )
        outcome = Outcome(ops.sum(nats * weights), nats, correct)
        gradients: one_pass.Arrays
        gradients = d_latent, d_log_priors, d_matrix, None if bias is None else d_bias
        if scale is not None:
            gradients = tuple(None if g is None else g * scale for g in gradients)
        return outcome, gradients

    def _chunk(
        self,
        latent: Array,
        log_priors: Array,
        matrix: Array,
        bias: Array | None,
        targets: Array,
    ) -> tuple[Array, ...]:
        """Logits (n K, V) without bias, their targets, nats, posteriors, correct."""
        mixtures, width = latent.shape[1], latent.shape[2]
        logits = self.full.logits(ops.reshape(latent, (-1, width)), matrix)
        repeated = ops.repeat(targets, mixtures, axis=0)
        each, _ = self.full.softmax.nats(logits, bias, repeated)
        joint = log_priors - ops.reshape(each, (-1, mixtures))
        nats = -ops.logsumexp(joint, axis=-1)
        posteriors = ops.exp(joint + ops.expand_dims(nats, -1))
        # In training nobody may ask for it; then compilers leave it out.
        correct = self._correct(logits, bias, repeated, each, log_priors, targets)
        return logits, repeated, nats, posteriors, correct

    def _correct(
        self,
        logits: Array,
        bias: Array | None,
        repeated: Array,
        each: Array,
        log_priors: Array,
        targets: Array,
    ) -> Array:
        """1.0 where the target is the likeliest word of the mixture, else 0.0."""
        if bias is not None:
            logits = logits + ops.cast(bias, logits.dtype)
        repeated = ops.expand_dims(repeated, -1)
        chosen = ops.take_along_axis(logits, repeated, axis=-1)
        # Log-probabilities are logits less the log of their softmax's sum.
        shift = ops.reshape(log_priors, (-1, 1)) - chosen - ops.expand_dims(each, -1)
        words = logits.shape[-1]
        shares = ops.exp(logits + shift)
        p = ops.sum(ops.reshape(shares, (-1, log_priors.shape[-1], words)), axis=1)
        targets = ops.expand_dims(targets, -1)
        of_target = ops.take_along_axis(p, targets, axis=-1)
        # Of equal ones the first counts as the likeliest.
        earlier = ops.logical_and(
            p == of_target, ops.arange(words, dtype="int32") < targets
        )
        better = ops.logical_or(p > of_target, earlier)
        return ops.cast(ops.logical_not(ops.any(better, axis=-1)), logits.dtype)
