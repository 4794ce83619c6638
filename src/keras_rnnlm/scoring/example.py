"""A model after a single example: what it has just read counts in what comes next.

With a line or a page there is nothing to train on by epochs. Two ways remain, those of
evaluation, here for scoring and generation as well: one pass of dynamic evaluation,
after which the weights stay as it left them, or a continuous cache that the example
fills.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.errors import InputError
from keras_rnnlm.models.cache_network import CacheNetwork
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.weights import assign_weights
from keras_rnnlm.scoring.additions import CACHE_WEIGHT
from keras_rnnlm.scoring.cache import CacheSettings
from keras_rnnlm.scoring.gradient_scale import GradientScale
from keras_rnnlm.scoring.learning import DynamicSettings, make_learner
from keras_rnnlm.scoring.tuned import Tuned
from keras_rnnlm.scoring.tuned_evaluation import TunedEvaluation


def learnt(
    network: CausalLM,
    ids: NDArray[np.integer],
    settings: DynamicSettings,
    scale: GradientScale | None = None,
) -> CausalLM:
    """Return a copy of a network that has learnt from reading some tokens once.

    Args:
        network: In float32.
        ids: (T,) tokens, the first of which is only read; at least two.
        settings: How it learns; a rate, since one pass is all there is.
        scale: Of its gradients, for the scaled form.

    Raises:
        InputError: For fewer than two tokens, a scaled form without a scale, or weights
            that went astray.
    """
    if len(ids) < 2:
        raise InputError(
            "Expected an example with something to predict, received "
            f"{len(ids)} token. Give a line or more."
        )
    given = None
    if settings.scaled:
        if scale is None:
            raise InputError(
                "Expected the scale of gradients for the scaled form, received none. "
                "Run `rnnlm tune-evaluation MODEL VALID --train TEXT`, or use the "
                "plain form."
            )
        given = scale.arrays(network)
    learner = make_learner(network, settings, given, (1.0,))
    learner.begin()
    segment = settings.segment
    try:
        for begin in range(0, len(ids) - 1, segment):
            piece = np.asarray(ids[begin : begin + segment + 1], np.int32)
            counted = len(piece) - 1
            inputs = np.zeros((1, segment), np.int32)
            targets = np.zeros((1, segment), np.int32)
            weights = np.zeros((1, segment), np.float32)
            inputs[0, :counted], targets[0, :counted] = piece[:-1], piece[1:]
            weights[0, :counted] = 1 / segment
            learner.read(inputs, targets, weights)
        arrays = learner.weights()
    finally:
        learner.end()
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise InputError(
            "Expected weights that are numbers after the example, received others: the "
            f"rate {settings.rate:g} is too high. Lower it (--set dynamic.rate=...)."
        )
    copy: Any = type(network).from_config(network.get_config())
    assign_weights(copy, arrays)
    result: CausalLM = copy
    return result


class AfterExample(TunedEvaluation):
    """A network and its tokenizer, with the verbs for a single example."""

    protocol: str | None

    def learn_from(self, example: str, settings: DynamicSettings | None = None) -> Self:
        """Return this model after it has learnt from reading an example once.

        One-shot adaptation by dynamic evaluation: the weights stay as the example left
        them. `rnnlm adapt` is for more text than one reading. Single additions of
        `evaluate_additions` keep the settings that `tune_evaluation` found; the whole
        system was fitted to other weights and is refused.

        Args:
            example: A line or more, in the order in which it is to be read.
            settings: How it learns; those that `tune_evaluation` found, or defaults, if
                absent.

        Raises:
            InputError: After `quantize`, for an empty example, or if the weights went
                astray.

        Example:
            >>> lm.learn_from("To be, or not to be").generate("to", seed=1)
        """
        network, ids = self._rnnlm("learn"), self._read_example(example)
        tuned = self._settings()
        if settings is None:
            stored = [line.dynamic for line in (tuned.lines if tuned else [])]
            settings = next((d for d in reversed(stored) if d), DynamicSettings())
        scale = tuned.scale if tuned is not None else None
        changed = learnt(network, ids, settings, scale)
        return self._made(changed, tuned)

    def with_cache(
        self,
        example: str = "",
        cache: CacheSettings | None = None,
        weight: float = CACHE_WEIGHT,
    ) -> Self:
        """Return this model with a continuous cache, for scoring and generation too.

        One-shot adaptation by a cache: words of the example, and of what is read or
        written after it, come back where the model is in a state it was in before.
        Every text and every line begins with the state after the example.

        Args:
            example: What fills the cache; nothing if empty.
            cache: Its settings; those that `tune_evaluation` found, or defaults.
            weight: Of the cache in the mixture.

        Raises:
            InputError: After `quantize`.
            ConfigError: For a weight that is not between 0 and 1.
        """
        network, tuned = self._rnnlm("have a cache"), self._settings()
        if cache is None:
            stored = [line.cache for line in (tuned.lines if tuned else [])]
            cache = next((c for c in reversed(stored) if c), CacheSettings())
        joined = CacheNetwork(network, cache.window, cache.theta, weight)
        if example:
            ids = self._read_example(example)
            if self.tokenizer.start_id is not None:
                ids = ids[:-1]  # every text begins with that line end
            joined = joined.after(ids)
        return self._made(joined, tuned)

    def _read_example(self, example: str) -> NDArray[np.int32]:
        """Return the tokens of an example behind what a text begins behind."""
        start = self.tokenizer.start_id
        ids = np.asarray(self.tokenizer.encode(example), np.int32)
        begun = [] if start is None else [start]
        return np.concatenate([np.asarray(begun, np.int32), ids])

    def _made(self, network: CausalLM | CacheNetwork, tuned: Tuned | None) -> Self:
        """Return another model with this one's tokenizer and protocol."""
        made: Any = type(self)
        result: Self = made(network, self.tokenizer, self.protocol)
        result._origin = tuned
        return result
