"""Dynamic evaluation: the model goes on learning from the text it has just scored.

Krause, Kahembwe, Murray and Renals (2018), "Dynamic evaluation of neural sequence
models". The text is cut into segments s_1, s_2, ... of a few tokens. Each is scored
with the weights as they stand, and only then changes them by the gradient of its loss
L (nats per token). With theta_g the trained weights,

    plain:   theta <- theta - rate grad L(s) + decay (theta_g - theta)

    scaled:  theta <- theta - rate grad L(s) / (r + epsilon)
                    + min(decay r, 1) (theta_g - theta),   r = RMS_g / mean(RMS_g)

where RMS_g, one number a weight, is the root of the mean square of gradients on
training text (`gradient_scale`): weights that training moved much move less for the
same gradient, and return sooner. (In the paper the first division is by RMS_g itself.
With r, rates mean the same in both forms, and one epsilon serves models of all sizes.)

A stream is a file: each begins with the trained weights and a zero state, so that no
figure depends on the order of files. The network's own weights are the same afterwards.
The figure is an honest one: no token changes the probability of itself or of one before
it. But it is that of another model than the one that was trained, and so it is reported
on a line of its own.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.errors import InputError
from keras_rnnlm.models.packed import PackedNetwork
from keras_rnnlm.scoring.learning import DynamicSettings, Learner, make_learner
from keras_rnnlm.scoring.passes import BLOCK, Ids, Reader
from keras_rnnlm.scoring.temperature import checked_temperatures

if TYPE_CHECKING:
    from keras_rnnlm.scoring.gradient_scale import GradientScale


class DivergedError(InputError):
    """The weights went astray while learning: the rate is too high."""


class DynamicReader(Reader):
    """Reads a text and learns from it, segment by segment."""

    def __init__(
        self,
        network: keras.Model,
        settings: DynamicSettings,
        scale: "GradientScale | None" = None,
        temperatures: Sequence[float] = (1.0,),
    ) -> None:
        """Prepare a network; it must not be used for anything else until `end`.

        Args:
            network: An `RNNLM` in float32.
            settings: How it learns.
            scale: The scale of its gradients, for the scaled form.
            temperatures: At which nats are given; the loss has temperature 1.

        Raises:
            InputError: For packed weights, which cannot learn, or a scaled form without
                a scale.
        """
        if isinstance(network, PackedNetwork):
            raise InputError(
                "Expected a model with its own weights for dynamic evaluation, "
                f"received one with packed {network.weights} weights, which cannot "
                "learn. Leave out --weights, or dynamic evaluation."
            )
        if settings.scaled and scale is None:
            raise InputError(
                "Expected the scale of gradients for the scaled form of dynamic "
                "evaluation, received none. Measure it on training text "
                "(`rnnlm tune-evaluation MODEL VALID --train TEXT`), or use the plain "
                "form (dynamic.scaled=false)."
            )
        self.temperatures = checked_temperatures(temperatures)
        self.block = settings.segment * max(1, BLOCK // settings.segment)
        self._segment = settings.segment
        given = scale.arrays(network) if settings.scaled and scale else None
        self._learner: Learner = make_learner(
            network, settings, given, self.temperatures
        )

    def begin(self) -> None:
        """See `Reader`."""
        self._learner.begin()

    def steps(self, left: int) -> int:
        """See `Reader`."""
        return self._segment

    def read(self, inputs: Ids, targets: Ids, counted: int) -> tuple[Any, Any]:
        """See `Reader`."""
        # A shorter last segment weighs less: a mean over it would be noisier.
        weights = np.zeros(inputs.shape, np.float32)
        weights[0, :counted] = 1 / self._segment
        return self._learner.read(inputs, targets, weights)

    def check(self, nats: NDArray[np.float64]) -> None:
        """See `Reader`; raise `DivergedError` for what is not a number."""
        if not np.isfinite(nats).all():
            raise DivergedError(
                "Expected probabilities, received values that are not numbers: dynamic "
                "evaluation went astray. Lower its rate (--set dynamic.rate=...)."
            )

    def end(self) -> None:
        """See `Reader`."""
        self._learner.end()
