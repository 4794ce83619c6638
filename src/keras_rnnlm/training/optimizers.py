"""From settings to an optimizer of Keras."""

import inspect
from typing import Any

import keras

from keras_rnnlm.config import Settings
from keras_rnnlm.errors import ConfigError, nearest


def optimizer_names() -> dict[str, type]:
    """Return Keras's optimizers by lower-case name."""
    base = keras.optimizers.Optimizer
    return {
        name.lower(): kind
        for name, kind in vars(keras.optimizers).items()
        if inspect.isclass(kind)
        and issubclass(kind, base)
        and name not in ("Optimizer", "LossScaleOptimizer", "MultiOptimizer")
    }


def build_optimizer(settings: Settings) -> Any:
    """Create the optimizer that the settings name.

    Raises:
        ConfigError: Unknown name, or a setting that this optimizer does not have.
    """
    kinds = optimizer_names()
    kind = kinds.get(settings.optimizer.lower())
    if kind is None:
        raise ConfigError(
            f"Unknown optimizer '{settings.optimizer}'."
            f"{nearest(settings.optimizer.lower(), kinds)} "
            f"Known: {', '.join(sorted(kinds))}."
        )
    accepted = inspect.signature(kind).parameters
    arguments: dict[str, Any] = {"learning_rate": settings.learning_rate}
    if settings.clip_norm > 0:
        arguments["global_clipnorm"] = settings.clip_norm
    if settings.average > 0:
        arguments["use_ema"] = True
        arguments["ema_momentum"] = settings.average
        arguments["ema_overwrite_frequency"] = None
    if settings.weight_decay > 0:
        arguments["weight_decay"] = settings.weight_decay
    defaults = Settings()
    for name in ("momentum", "beta_2"):
        value = getattr(settings, name)
        if name in accepted:
            arguments[name] = value
        elif value != getattr(defaults, name):
            raise ConfigError(
                f"The optimizer '{settings.optimizer}' has no '{name}'; leave it out."
            )
    return kind(**arguments)


def averaged_variables(optimizer: Any) -> list[Any] | None:
    """Return the moving averages of the trainable variables, in their order, or None.

    A loss-scaling optimizer keeps them in the optimizer inside it.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not inner.use_ema:
        return None
    return list(inner._model_variables_moving_average)
