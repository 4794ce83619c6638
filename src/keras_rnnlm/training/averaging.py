"""Averages of the weights, kept by the optimizer as it goes.

One rule serves them all. From the step s at which averaging begins, the average a of
the weights w takes

    a = a + (1 - m) (w - a),    m = min(decay, n / (n + eta + 1)),    n = steps since s,

and is w itself before. With decay 1 and eta 0 that is the plain mean since s, as
stochastic weight averaging (Izmailov et al. 2018) and averaged SGD (Polyak & Juditsky
1992; the non-monotonic trigger: Merity et al. 2018) want it. A smaller decay makes it
an exponential moving average. That begins as a polynomial-decay average (Shamir & Zhang
2013), which counts the newest 1 / (eta + 1) of the steps most: so it neither hangs on
to the weights it began with nor, in a short run, to those of its first half.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rnnlm.config import Settings
from keras_rnnlm.models.weights import named_weights, weight_arrays

NEVER = 2**30
"""The step at which an average begins that has not been begun."""
ETA = 8
"""Of moving averages: while they are young they are over a ninth of the steps."""


class _Averaging:
    """Stands before a Keras optimizer that has `use_ema` set; see `averaging`."""

    _model_variables_moving_average: list[Any]
    iterations: Any
    ema_momentum: float
    average_eta: int

    def build(self, variables: Any) -> None:
        """Make the optimizer's variables and the step at which averaging begins."""
        if not getattr(self, "built", False):
            super().build(variables)  # type: ignore[misc]
            # By an initializer: on TensorFlow this may run within a graph.
            never = keras.initializers.Constant(NEVER)
            self.average_since = self.add_variable(  # type: ignore[attr-defined]
                (), never, dtype="int32", name="average_since"
            )

    def finalize_variable_values(self, variables: Any) -> None:
        """Leave the weights as they are when `fit` returns.

        Keras would put the averages in their place. A run goes on from its weights when
        `fit` was left for a while, and knows which ones to keep at its end.
        """

    def _update_model_variables_moving_average(self, variables: Any) -> None:
        since = ops.convert_to_tensor(self.average_since)
        taken = ops.cast(self.iterations, "int32") - since
        taken = ops.cast(ops.maximum(taken, 0), "float32")
        kept = taken / (taken + self.average_eta + 1.0)
        share = 1.0 - ops.minimum(kept, self.ema_momentum)
        pairs = zip(variables, self._model_variables_moving_average, strict=True)
        for variable, average in pairs:
            part = ops.cast(share, average.dtype)
            # Not a + share (w - a): with a share of one this is w to the last bit.
            average.assign((1.0 - part) * average + part * variable)


def averaging(kind: Any, arguments: dict[str, Any], decay: float) -> Any:
    """Make an optimizer that averages, none yet: see `begin_average`.

    Args:
        kind: A class of `keras.optimizers`.
        arguments: What it is made with.
        decay: Of the moving average; 1 for the plain mean.
    """
    # On PyTorch Keras makes an optimizer of another class than it was asked for.
    actual = type(kind(**arguments))
    eta = 0 if decay == 1.0 else ETA
    combined = type(actual.__name__, (_Averaging, actual), {"average_eta": eta})
    return combined(
        **arguments, use_ema=True, ema_momentum=decay, ema_overwrite_frequency=None
    )


def averaged_variables(optimizer: Any) -> list[Any] | None:
    """Return the averages of the trainable variables, in their order, or None.

    None of an optimizer that does not average, and of one that has not changed the
    weights yet: what it keeps is zero until it does. From then on, until its average
    has begun, they equal the weights.
    """
    inner = _inner(optimizer)
    # Of a loss-scaling optimizer, steps that overflow are not counted by the inner one.
    if not inner.use_ema or not int(ops.convert_to_numpy(inner.iterations)):
        return None
    averages: list[Any] = inner._model_variables_moving_average
    return averages


def begin_average(optimizer: Any) -> None:
    """Let the average begin anew, with the weights after the next step."""
    inner = _inner(optimizer)
    # By the host: on JAX two variables must not share an array.
    inner.average_since.assign(np.int32(ops.convert_to_numpy(inner.iterations)))


def begins_at(settings: Settings) -> float | None:
    """Return the progress at which averaging begins; None if it is not for progress."""
    if settings.averaging_kind not in ("ema", "swa"):
        return None
    default = 0.0 if settings.averaging_kind == "ema" else 0.75
    return default if settings.average_start is None else settings.average_start


def is_triggered(figures: list[float], patience: int) -> bool:
    """The non-monotonic criterion of NT-ASGD (Merity et al. 2018, algorithm 1).

    Args:
        figures: Nats a token of all validations so far, the newest last.
        patience: n: the newest is compared with the best of those before the last n.

    Returns:
        Whether the newest figure is worse than the best one that is more than n
        validations old.
    """
    old = figures[: -1 - patience]
    return bool(old) and figures[-1] > min(old)


def current_weights(model: Any) -> dict[str, np.ndarray]:
    """Return copies of the weights to keep now: averaged ones where they are."""
    arrays = weight_arrays(model)
    averages = averaged_variables(model.optimizer)
    if averages is None:
        return arrays
    trainable = model.trainable_variables
    by_variable = {id(v): a for v, a in zip(trainable, averages, strict=True)}
    return {
        # What is not trained has no average.
        name: np.array(ops.convert_to_numpy(by_variable[id(v)].value))
        if id(v) in by_variable
        else arrays[name]
        for name, v in named_weights(model).items()
    }


def with_weights(model: Any, arrays: dict[str, np.ndarray], function: Any) -> Any:
    """Call a function on a model with these weights, then put its own back."""
    if averaged_variables(model.optimizer) is None:
        return function(model)
    own = weight_arrays(model)
    variables = named_weights(model)
    for name, variable in variables.items():
        variable.assign(arrays[name])
    try:
        return function(model)
    finally:
        for name, variable in variables.items():
            variable.assign(own[name])


def _inner(optimizer: Any) -> Any:
    """The optimizer inside a loss-scaling one, which keeps the averages."""
    return getattr(optimizer, "inner_optimizer", optimizer)
