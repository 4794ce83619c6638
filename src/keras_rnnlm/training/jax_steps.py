"""Training steps on JAX that the host does not wait for.

Keras's `fit` turns the logs of every step into numbers, which waits for the step to
end, and a callback that sets the learning rate first copies all variables back into the
model. Both take longer than a small model's step needs to be prepared. Here the logs
stay on the device until somebody asks, and the rate goes straight into the state that
the next step is given.
"""

from typing import Any

import jax.numpy as jnp

from keras_rnnlm.training.pending import Pending


class PendingSteps:
    """The `train_function` of a compiled model, in place of Keras's own.

    Its logs are `Pending`, and what it is told of the optimizer's variables holds for
    the steps to come.
    """

    def __init__(self, model: Any) -> None:
        """Take over the training step of a model whose optimizer is built."""
        model.make_train_function()
        self._function = model.train_function
        self._rate_place = learning_rate_place(model)
        self._places = {id(v): i for i, v in enumerate(model.optimizer.variables)}
        self._told: dict[int, Any] = {}
        model.train_function = self

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate of the next step and those after it."""
        self._told[self._rate_place] = jnp.asarray(rate, "float32")

    def assign(self, variable: Any, value: Any) -> None:
        """Set a variable of the optimizer for the next step and those after it."""
        self._told[self._places[id(variable)]] = jnp.asarray(value, variable.dtype)

    def __call__(self, state: tuple[Any, ...], iterator: Any) -> tuple[Any, Any]:
        """Take a step; see `keras.Model.make_train_function`."""
        if self._told:
            weights, others, optimizer, metrics = state
            optimizer = list(optimizer)
            for place, value in self._told.items():
                optimizer[place] = value
            self._told = {}
            state = (weights, others, optimizer, metrics)
        logs, state = self._function(state, iterator)
        return {name: Pending(value) for name, value in logs.items()}, state


def learning_rate_place(model: Any) -> int:
    """Return where the learning rate stands among the optimizer's variables."""
    # Of a loss-scaling optimizer, the rate of the one inside it.
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    (rate,) = [v for v in inner.variables if v.name == "learning_rate"]
    (place,) = [i for i, v in enumerate(model.optimizer.variables) if v is rate]
    return place
