"""From settings to an optimizer of Keras."""

import inspect
from collections.abc import Callable
from typing import Any

import keras

from keras_rnnlm.config import Settings
from keras_rnnlm.errors import ConfigError, nearest
from keras_rnnlm.models.one_pass_adam import one_pass_kind
from keras_rnnlm.training.averaging import averaging


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


def build_optimizer(
    settings: Settings, of_kind: Callable[[Any], Any] = one_pass_kind
) -> Any:
    """Create the optimizer that the settings name.

    Args:
        settings: Of the run.
        of_kind: From Keras's class to the one that is made.

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
    if settings.weight_decay > 0 or accepted["weight_decay"].default is not None:
        arguments["weight_decay"] = settings.weight_decay
    theirs = {}
    if kind is keras.optimizers.Muon:
        # Hidden matrices by Muon; embeddings, biases, the output layer, and columns of
        # numbers for each unit by Adam.
        arguments["exclude_layers"] = [r"(^|/)output/", r"/convolution_kernel$"]
        arguments["adam_weight_decay"] = settings.weight_decay
        theirs = {"beta_1": "adam_beta_1", "beta_2": "adam_beta_2"}
    defaults = Settings()
    for name in ("momentum", "beta_1", "beta_2"):
        value = getattr(settings, name)
        changed = value != getattr(defaults, name)
        if kind is keras.optimizers.Muon and name == "momentum" and not changed:
            continue  # 0, which means its own: Muon is nothing without momentum
        if theirs.get(name, name) in accepted:
            arguments[theirs.get(name, name)] = value
        elif changed:
            raise ConfigError(
                f"The optimizer '{settings.optimizer}' has no '{name}'; leave it out."
            )
    kind = of_kind(kind)
    averages = settings.averaging_kind
    if averages == "none":
        return kind(**arguments)
    decay = settings.average if averages == "ema" else 1.0
    return averaging(kind, arguments, decay)
