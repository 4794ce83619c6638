"""Training in which loss and metrics come out of one pass over the targets.

Keras's training step calls the model for its predictions, then the loss and every
metric for what they make of them: for a language model four passes over logits of
(batch, time, vocabulary), all kept in memory. Here the targets go into the model
together with the tokens, and it returns nats and correctness in place of logits.
"""

from typing import Any

import keras
from keras import ops

from keras_rnnlm.models.metrics import (
    Perplexity,
    TokenAccuracy,
    TokenCrossEntropy,
    loss_weights,
    token_weights,
)
from keras_rnnlm.models.one_pass_adam import in_one_pass

_METRICS = (TokenAccuracy, Perplexity)


class OnePassTraining(keras.Model):
    """A model whose `call` returns `Outcome._asdict()` for a dict with `targets`.

    That dict holds `tokens`, `targets` and `weights` (batch, time), the weights' sum
    being one, beside what else a batch has. The targets are handed over where the loss
    is `TokenCrossEntropy` and all metrics are this package's; with any other loss or
    metric the model is called without them, though with weights where a batch has some,
    and loss and metrics are given its logits.

    A model whose `call` adds a `penalty` to that dict in training minimises the sum of
    both. With a `penalty_tracker`, a metric, logs say what part of the loss it was.
    """

    one_pass = False
    penalty_tracker: Any = None

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        *,
        weighted_metrics: Any = None,
        **kwargs: Any,
    ) -> None:
        """Compile as Keras does; loss, accuracy and perplexity come by themselves.

        Args:
            optimizer: As in `keras.Model.compile`. Keras's Adam and AdamW, by name or
                as an object, step in one pass over memory: see `one_pass_adam`.
            loss: `TokenCrossEntropy` when None.
            weighted_metrics: Accuracy and perplexity when None; `[]` for none.
            **kwargs: Passed on to `keras.Model.compile`.
        """
        loss = TokenCrossEntropy() if loss is None else loss
        if weighted_metrics is None:
            weighted_metrics = [TokenAccuracy(), Perplexity()]
        listed = isinstance(weighted_metrics, list | tuple)
        self.one_pass = (
            type(loss) is TokenCrossEntropy
            and listed
            and all(type(metric) in _METRICS for metric in weighted_metrics)
            and not kwargs.get("metrics")
            and kwargs.get("loss_weights") is None
        )
        super().compile(
            optimizer=in_one_pass(optimizer),
            loss=loss,
            weighted_metrics=weighted_metrics,
            **kwargs,
        )

    def train_step(self, *arguments: Any) -> Any:
        """One step of training; on JAX the state comes before the data."""
        *state, data = arguments
        return super().train_step(*state, self._with_targets(data))

    def test_step(self, *arguments: Any) -> Any:
        """One step of evaluation; on JAX the state comes before the data."""
        *state, data = arguments
        return super().test_step(*state, self._with_targets(data))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the loss, which the model's call may have computed already."""
        if not isinstance(y_pred, dict):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        start = y_pred["loss"] + y_pred.get("penalty", 0.0)
        return sum((ops.sum(loss) for loss in self.losses), start=start)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Update the metrics and return what they stand at."""
        if not isinstance(y_pred, dict):
            found: dict[str, Any] = super().compute_metrics(x, y, y_pred, sample_weight)
            found.pop("penalty", None)
            return found
        nats, correct = y_pred["nats"], y_pred["correct"]
        if self._compile_metrics is not None:
            weights = token_weights(nats, sample_weight)
            if not self._compile_metrics.built:  # Keras builds them at their first use
                self._compile_metrics.build(y, nats)
            for metric in self._compile_metrics.metrics:
                metric.add(ops.stop_gradient(nats), correct, weights)
        if "penalty" in y_pred and self.penalty_tracker is not None:
            self.penalty_tracker.update_state(y_pred["penalty"])
        result: dict[str, Any] = self.get_metrics_result()
        if "penalty" not in y_pred:
            result.pop("penalty", None)
        return result

    def _with_targets(self, data: Any) -> Any:
        """Put the targets beside the tokens of a batch, if they are to go there.

        Weights that a batch has go there in any case: penalties count by them.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        inputs = x if isinstance(x, dict) else {"tokens": x}
        shape = getattr(inputs.get("tokens"), "shape", None)
        if shape is None or y is None or isinstance(y, dict | list | tuple):
            return data
        if self.one_pass and len(shape) == len(y.shape):
            targets, weights = ops.cast(y, "int32"), loss_weights(y, sample_weight)
            return {**inputs, "targets": targets, "weights": weights}, y, sample_weight
        given = getattr(sample_weight, "shape", None)
        if given is None or len(given) > len(shape):
            return data
        weights = loss_weights(inputs["tokens"], sample_weight)
        return {**inputs, "weights": weights}, y, sample_weight
