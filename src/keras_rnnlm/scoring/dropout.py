"""Monte Carlo dropout: the mean of many thinned networks.

Gal and Ghahramani (2016), "A theoretically grounded application of dropout in recurrent
neural networks". A pass is one thinned network: its masks (locked dropout, dropped
words, dropped recurrent weights) are drawn once and hold for the whole text. The
prediction is the mean of the probabilities of all passes. Seeds are derived from one
number, so the same call gives the same figures, and pass k is the same whatever the
number of passes.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.errors import ConfigError, InputError
from keras_rnnlm.models.compiled import compiled_once
from keras_rnnlm.models.packed import PackedNetwork
from keras_rnnlm.scoring.experts import Floats, mix
from keras_rnnlm.scoring.passes import Ids, StaticReader, run_pass
from keras_rnnlm.scoring.scorer import Progress
from keras_rnnlm.scoring.temperature import tempered_nats


class DropoutReader(StaticReader):
    """The network with one choice of dropout masks."""

    def __init__(
        self,
        network: keras.Model,
        number: int,
        seed: int = 0,
        temperatures: Sequence[float] = (1.0,),
    ) -> None:
        """Draw the masks of a pass.

        Args:
            network: An `RNNLM` in float32 with a dropout rate above 0.
            number: Of the pass.
            seed: Of all passes.
            temperatures: At which nats are given.

        Raises:
            InputError: If the network has no dropout.
        """
        self._seeds = dropout_seeds(network)
        super().__init__(network, temperatures)
        self._chunk = compiled_once(network, _dropped_chunk)
        self._own = [ops.convert_to_numpy(seed.value) for seed in self._seeds]
        drawn = np.random.SeedSequence([seed, number]).generate_state(
            2 * len(self._seeds)
        )
        # Of 31 bits, since Keras keeps them as int32 on PyTorch.
        self._drawn = (drawn >> 1).reshape(-1, 2)

    def read(self, inputs: Ids, targets: Ids, counted: int) -> tuple[Any, Any]:
        """See `Reader`."""
        # Each time: the masks of a segment are those of the segment before.
        for seed, state in zip(self._seeds, self._drawn, strict=True):
            seed.assign(state.astype(seed.dtype))
        temperatures = np.asarray(self.temperatures, np.float32)
        nats, hidden, self._state = self._chunk(
            inputs, targets, temperatures, self._state
        )
        return nats, hidden

    def end(self) -> None:
        """Give the network its own seeds back."""
        for seed, state in zip(self._seeds, self._own, strict=True):
            seed.assign(state)


def dropout_log_probabilities(
    network: keras.Model,
    text: EncodedText,
    passes: int,
    seed: int = 0,
    temperature: float = 1.0,
    progress: Progress | None = None,
    most: int | None = None,
) -> Floats:
    """Return the log of the mean probability of several thinned networks.

    Args:
        network: An `RNNLM` in float32 with a dropout rate above 0.
        text: The text, read as carried streams.
        passes: Number of thinned networks.
        seed: Of all passes.
        temperature: Of each pass.
        progress: Called with the numbers of predictions done and of all.
        most: Stop after this many predictions.

    Returns:
        Natural-log probabilities (predictions,), an expert.

    Raises:
        ConfigError: If `passes` is below 1.
        InputError: If the network has no dropout.
    """
    if passes < 1:
        raise ConfigError(
            f"Expected 1 or more passes of Monte Carlo dropout, received {passes}."
        )
    found = []
    for number in range(passes):
        reader = DropoutReader(network, number, seed, (temperature,))

        def seen(done: int, total: int, before: int = number) -> None:
            if progress is not None:
                progress(before * total + done, passes * total)

        scores = run_pass(reader, network, text, progress=seen, most=most)
        found.append(-scores.nats[0])
    return mix(found, [1 / passes] * passes)


def dropout_seeds(network: keras.Model) -> list[Any]:
    """Return the variables that hold the states of a network's dropout.

    Raises:
        InputError: If it has none, or its weights are packed.
    """
    if isinstance(network, PackedNetwork):
        raise InputError(
            "Expected a model with its own weights for Monte Carlo dropout, received "
            f"one with packed {network.weights} weights. Leave out --weights."
        )
    rates = {k: v for k, v in network.get_config().items() if k.endswith("dropout")}
    if not any(rates.values()):
        raise InputError(
            "Expected a network that was trained with dropout for Monte Carlo dropout, "
            "received one whose rates are all 0. Leave out --mc-dropout, or train with "
            "--set dropout=0.2."
        )
    return [
        variable
        for variable in network.non_trainable_variables
        if "seed_generator_state" in variable.path
    ]


def _dropped_chunk(
    network: keras.Model, inputs: Any, targets: Any, temperatures: Any, state: Any
) -> tuple[Any, Any, Any]:
    """Score a segment with dropout; this runs inside the compiled function."""
    hidden, state = network.hidden(inputs, state, training=True)
    nats = tempered_nats(network, hidden, targets, temperatures, training=True)
    return nats[:, 0], hidden[0], state
