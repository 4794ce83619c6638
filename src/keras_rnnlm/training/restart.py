"""Begin a run's second phase: the best weights so far, and an optimizer as new."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_rnnlm.config import Settings
from keras_rnnlm.models.weights import assign_weights
from keras_rnnlm.training.optimizers import build_optimizer


def restart(model: Any, settings: Settings, weights: Mapping[str, np.ndarray]) -> None:
    """Assign weights, and give a compiled model's optimizer its first state again.

    The fine-tuning of Merity et al. (2018): what the optimizer has gathered belongs to
    weights that training has left. A loss scale stays as it is.

    Args:
        model: A compiled model whose optimizer is built.
        settings: That its optimizer was made from.
        weights: By name.
    """
    assign_weights(model, weights)
    fresh = build_optimizer(settings)
    fresh.build(model.trainable_variables)
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    for variable, new in zip(inner.variables, fresh.variables, strict=True):
        variable.assign(new.value)
