"""Loss and metrics of next-token prediction, in nats per counted token."""

from typing import Any

import keras
from keras import ops

from keras_rnnlm.layers.kernels.cross_entropy import sparse_cross_entropy


@keras.saving.register_keras_serializable("keras_rnnlm")
class TokenCrossEntropy(keras.losses.Loss):
    """Mean negative log-likelihood, in nats, over the tokens that count.

    `keras.losses.SparseCategoricalCrossentropy` divides a masked batch by all its
    positions. This loss divides by the sum of the sample weights, so padding changes
    nothing.
    """

    def __init__(self, name: str = "token_cross_entropy", dtype: Any = None) -> None:
        """Create the loss; it takes logits (batch, time, vocabulary)."""
        super().__init__(name=name, reduction="sum_over_batch_size", dtype=dtype)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the scalar loss.

        Args:
            y_true: Integer targets (batch, time).
            y_pred: Logits (batch, time, vocabulary), float32.
            sample_weight: Weights (batch, time); absent means all ones.
        """
        nats = self.call(y_true, y_pred)
        if sample_weight is None:
            return ops.mean(nats)
        return ops.sum(nats * loss_weights(nats, sample_weight))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the nats of every target, of the shape of `y_true`."""
        logits = ops.cast(ops.convert_to_tensor(y_pred), "float32")
        return sparse_cross_entropy(logits, ops.cast(y_true, "int32"))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"name": self.name, "dtype": self.dtype}


def token_weights(tokens: Any, sample_weight: Any) -> Any:
    """Return the weight of each token in float32: of its own, or of its row; ones."""
    if sample_weight is None:
        return ops.ones(ops.shape(tokens), "float32")
    weight = ops.cast(sample_weight, "float32")
    while len(weight.shape) < len(tokens.shape):  # weights of rows
        weight = ops.expand_dims(weight, -1)
    return ops.broadcast_to(weight, ops.shape(tokens))


def loss_weights(tokens: Any, sample_weight: Any) -> Any:
    """Return the share of each token in a batch's loss: its weight by their sum."""
    weight = token_weights(tokens, sample_weight)
    return weight / ops.maximum(ops.sum(weight), 1e-9)


def likeliest(logits: Any, targets: Any) -> Any:
    """Return whether each target (...) is the argmax of its logits (..., V).

    Of equal logits the lowest id counts, as in argmax. On a CPU JAX's argmax takes ten
    times as long as the product that made the logits; this takes a seventh of that.
    """
    targets = ops.expand_dims(ops.cast(targets, "int32"), -1)
    chosen = ops.take_along_axis(logits, targets, axis=-1)
    words = ops.arange(logits.shape[-1], dtype="int32")
    before = ops.logical_and(logits == chosen, words < targets)
    ahead = ops.logical_or(logits > chosen, before)
    return ops.logical_not(ops.any(ahead, axis=-1))


@keras.saving.register_keras_serializable("keras_rnnlm")
class TokenAccuracy(keras.metrics.Mean):
    """Share of counted tokens that were the likeliest.

    Equals `keras.metrics.SparseCategoricalAccuracy` without its slow argmax.
    """

    def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
        """Create the metric; it takes logits (batch, time, vocabulary)."""
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Add a batch: targets (batch, time), logits (batch, time, vocabulary)."""
        right = likeliest(ops.convert_to_tensor(y_pred), ops.convert_to_tensor(y_true))
        return super().update_state(ops.cast(right, "float32"), sample_weight)

    def add(self, nats: Any, correct: Any, weights: Any) -> None:
        """Add a batch by what a pass over it found; all are (batch, time)."""
        super().update_state(correct, weights)


@keras.saving.register_keras_serializable("keras_rnnlm")
class Perplexity(keras.metrics.Mean):
    """exp of the mean nats per counted token, summed over all batches first."""

    def __init__(self, name: str = "perplexity", dtype: Any = None) -> None:
        """Create the metric; it takes logits (batch, time, vocabulary)."""
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Add a batch: targets (batch, time), logits (batch, time, vocabulary)."""
        logits = ops.cast(ops.convert_to_tensor(y_pred), "float32")
        nats = sparse_cross_entropy(logits, ops.cast(y_true, "int32"))
        return super().update_state(nats, sample_weight)

    def add(self, nats: Any, correct: Any, weights: Any) -> None:
        """Add a batch by what a pass over it found; all are (batch, time)."""
        super().update_state(nats, weights)

    def result(self) -> Any:
        """Return the perplexity of everything seen since the last reset."""
        return ops.exp(super().result())
